import { checkCancelled } from '../base/error.ts';
import type { MMAR } from '../model/mmar.ts';
import { angularStep, chosenTimes, type Prediction, phases, targetAngle } from '../model/sampler.ts';
import { type TraceTensor, type TraceTensors, trace } from '../model/trace.ts';
import { mmarOf } from '../model/variants/index.ts';
import { noiseStream, normals, permutation, seedWords, stepNoiseStream } from '../shaders/random.ts';
import { type NumberType, roundTo } from './number_types.ts';
import type { ErrorRow } from './theory.ts';

export interface MeasureOptions {
  /** What the tokens that are noised show. */
  prompt?: string;
  seed?: number;
  /** How many time steps, ends included. */
  times?: number;
  predictions: readonly Prediction[];
  types: readonly NumberType[];
  onTime?: (done: number, times: number) => void;
  signal?: AbortSignal;
}

/**
 * The rows of `errorRows`, measured: a picture that the model draws is noised to each time step, its Diffusion MLP predicts,
 * and its output is rounded. The model should be loaded in f32. Other predictions than its own are worked out from its x̂ and ε̂.
 */
export async function measuredRows(model: MMAR, options: MeasureOptions): Promise<ErrorRow[]> {
  const { seed = 1, predictions, types, onTime, signal } = options;
  const { prediction, timesteps } = mmarOf(model.system).config.diffusion;
  const phi = phases(timesteps);
  const times = chosenTimes(timesteps, Math.min(options.times ?? 50, timesteps));
  const { tokens, z, shape } = await drawn(model, options.prompt ?? '', seed);
  const rows: ErrorRow[] = [];
  for (const [i, t] of times.entries()) {
    checkCancelled(signal);
    const xt = noised(tokens, phi[t], t, seed);
    const inputs: TraceTensors = new Map<string, TraceTensor>([
      ['x', { shape, values: xt }],
      ['t', { shape: [shape[0]], values: new Uint32Array(shape[0]).fill(t), integers: true }],
      ['z', z],
    ]);
    const u = (await trace(model, 'diffusion', inputs)).get('out')!.values;
    const at = { xt, u, psi: targetAngle(prediction, phi[t]), phi: phi[t], next: t ? phi[t - 1] : 0 };
    for (const wanted of predictions)
      for (const type of types) rows.push({ prediction: wanted, type, t, ...rounded(at, wanted, type) });
    onTime?.(i + 1, times.length);
  }
  const place = ({ prediction, type }: ErrorRow) =>
    predictions.indexOf(prediction) * types.length + types.indexOf(type);
  return rows.sort((a, b) => place(a) - place(b) || a.t - b.t);
}

/** What a model knows at one time step. */
interface Moment {
  xt: Float32Array;
  u: ArrayLike<number>;
  psi: number;
  phi: number;
  next: number;
}

function rounded({ xt, u, psi, phi, next }: Moment, prediction: Prediction, type: NumberType) {
  const other = targetAngle(prediction, phi);
  const [fromX, fromU] = [Math.sin(psi - other), Math.sin(other - phi)].map((sin) => sin / Math.sin(psi - phi));
  let squares = 0;
  for (let i = 0; i < u.length; i++) {
    const output = other === psi ? u[i] : fromX * xt[i] + fromU * u[i];
    squares += (roundTo(type, output) - output) ** 2;
  }
  const error = Math.sqrt(squares / u.length);
  const unit_error = error / Math.abs(Math.sin(other - phi));
  return { step_error: error * Math.abs(angularStep(other, phi, next).a), unit_error, v_loss: unit_error ** 2 };
}

/** A picture's tokens and the z that the model had for them before it drew the first. */
async function drawn(model: MMAR, prompt: string, seed: number) {
  const { image_tokens: L, image_tokenizer, llm } = model.config;
  const d = image_tokenizer.embed_dim;
  const tokenizer = await model.tokenizer().catch(() => undefined); // a checkpoint without one is measured all the same
  const ids = tokenizer?.drawingPrompt(prompt).before ?? [0];
  const before = { shape: [ids.length], values: ids, integers: true };
  const noise = Float32Array.from(
    { length: L * d },
    (_, i) => normals([i >> 2, noiseStream, 0, 0], seedWords(seed))[i & 3],
  );
  const order = { shape: [L], values: permutation(L, seed), integers: true };
  const inputs: TraceTensors = new Map<string, TraceTensor>([
    ['before', before],
    ['uncond', before],
    ['order', order],
    ['noise', { shape: [L, d], values: noise }],
  ]);
  const tokens = (await trace(model, 'generate', inputs)).get('tokens')!;
  const mask = { shape: [L], values: new Uint32Array(L).fill(1), integers: true };
  const hidden = await trace(
    model,
    'hidden',
    new Map<string, TraceTensor>([
      ['before', before],
      ['tokens', tokens],
      ['mask', mask],
    ]),
  );
  const from = (ids.length + 1) * llm.hidden_size; // behind the text and the image's start
  const values = Array.from(hidden.get('hidden')!.values).slice(from, from + L * llm.hidden_size);
  return { tokens: tokens.values, z: { shape: [L, llm.hidden_size], values }, shape: [L, d] };
}

function noised(tokens: ArrayLike<number>, phi: number, t: number, seed: number): Float32Array {
  const noise = (i: number) => normals([i >> 2, stepNoiseStream, t, 0], seedWords(seed))[i & 3];
  return Float32Array.from(tokens, (x, i) => Math.cos(phi) * x + Math.sin(phi) * noise(i));
}
