import { gigabytes } from '../base/bytes.ts';
import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { type DryDevice, dryDevice } from '../engine/dry.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { permutation } from '../shaders/random.ts';
import type { Config } from './config.ts';
import { mergeWeights } from './merge_weights.ts';
import { Sequence } from './sequence.ts';
import { type DrawingSettings, defaultSettings } from './settings.ts';
import { type PLoRA, ploraOf } from './system.ts';
import { planSystem } from './variants/index.ts';
import type { Activations } from './weights.ts';

/** Bytes on the device beside the weights. */
export interface TaskMemory {
  /** Keys and values, both branches'. */
  caches: number;
  /** Buffers that operations share as they run. */
  work: number;
  /** All else: tokens, noise, tables, parameters. */
  state: number;
}

/** What a model will take on a device, in bytes. */
export interface MemoryPlan {
  precision: Activations;
  plora: PLoRA;
  /** Element type of the weights on the device. */
  weightType: string;
  weights: number;
  /** Tensors that the device cannot bind as a whole, and in how many pieces they lie. */
  split: { name: string; bytes: number; pieces: number }[];
  /** Drawing a picture and showing it. */
  drawing: TaskMemory;
  /** Reading a picture as well, with the same model. */
  both: TaskMemory;
  /** The most that is held at once while drawing, and when both are done in turn. */
  drawingPeak: number;
  peak: number;
}

export interface PlanOptions {
  /** Whose limits count; those that WebGPU guarantees unless given. */
  device?: Device;
  precision?: Activations;
  /** As the system does best unless given. */
  plora?: PLoRA;
  settings?: Partial<DrawingSettings>;
  /** Tokens of the prompt, and of the question and its answer. */
  textTokens?: number;
}

/** The host's memory that loading takes at most, whatever the model's size. */
const loadingBytes = 256 * 2 ** 20;

/**
 * Rehearses all that a model does on a device that holds nothing: the same code records the same programs, so what it
 * counts is what a run will take. Throws `adapter` where a tensor cannot be held at all.
 */
export async function planMemory(
  checkpoint: Checkpoint,
  config: Config,
  { device, precision = 'bf16', plora: asked, settings = {}, textTokens = 128 }: PlanOptions = {},
): Promise<MemoryPlan> {
  const dry = dryDevice(device);
  const on = dry.device;
  const system = planSystem(checkpoint, config, precision, on.maxBinding);
  const plora = ploraOf(system, asked);
  system.weights.allocate(on);
  if (plora === 'merged') await mergeWeights(on, system.weights);
  const weights = on.memory.held;
  const split = system.weights.tensors
    .filter(({ pieces }) => pieces.length > 1)
    .map(({ name, bytes, pieces }) => ({ name, bytes, pieces: pieces.length }));
  const { resolution, in_channels } = config.image_tokenizer;
  const [L, d] = system.imageShape;
  const room = Math.min(textTokens, config.llm.max_position_embeddings - L - 3);
  const words = new Array<number>(Math.max(1, Math.floor(room / 4))).fill(0);
  const capacity = Math.ceil((L + room + 3) / 64) * 64;
  const all: DrawingSettings = { ...defaultSettings(system.settings, {}), ...settings };

  const shape = { pictures: 1, branches: all.cfg === 1 ? 1 : 2, capacity } as const;
  const drawing = system.makeDrawing(on, shape, all);
  const picture = { order: permutation(L, 0), chance: { seed: 0 } };
  for await (const _ of drawing.run({ before: words, uncond: [0], pictures: [picture] }, all));
  const tokens = on.tensor('tokens to decode', 'f32', [L, d]);
  await on.record('decode', (p) => void p.keep(system.image_tokenizer.decode(p, tokens)));
  const whileDrawing = task(dry, weights);
  const drawingPeak = on.memory.peak;

  const pixels = on.tensor('pixels', 'f32', [resolution ** 2, in_channels]);
  await on.evaluate('encode', (p) => ({ ...system.image_tokenizer.encode(p, pixels) }) as Record<string, Tensor>);
  on.release(pixels);
  const reading = new Sequence(on, system.llm, capacity, { sight: system });
  const answer = { temperature: 0, top_p: 1, seed: 0, max_new_tokens: 2, eosIds: [0] };
  const image = { image: { tokens: new Float32Array(L * d) } };
  await reading.read([{ ids: words }, image, { ids: words }], { next: answer });
  for await (const _ of reading.decode(answer));
  return {
    precision,
    plora,
    weightType: system.weights.type,
    weights,
    split,
    drawing: whileDrawing,
    both: task(dry, weights),
    drawingPeak,
    peak: on.memory.peak,
  };
}

function task({ device, held }: DryDevice, weights: number): TaskMemory {
  const caches = held(/^cache\./),
    work = held(/^scratch$/);
  return { caches, work, state: device.memory.held - weights - caches - work };
}

/** Throws `adapter`, with the numbers and the choices, where a plan does not fit into `available` bytes. */
export function checkPlan(plan: MemoryPlan, name: string, available: number): void {
  const { weights, drawing, drawingPeak, precision, plora, weightType } = plan;
  if (drawingPeak + loadingBytes <= available) return;
  const items = [
    `weights ${gigabytes(weights)}`,
    `caches ${gigabytes(drawing.caches)}`,
    `work buffers ${gigabytes(drawing.work)}`,
    `state ${gigabytes(drawing.state)}`,
    `up to ${gigabytes(loadingBytes)} of the host while loading`,
  ];
  const choices = [
    ...(weightType === 'f32' || precision === 'f32' ? ['--precision bf16'] : []),
    ...(plora === 'merged' ? ['--plora separate'] : []),
    'a smaller model',
    'fewer layers (--set llm.num_hidden_layers=N)',
    'the text model alone (mmar chat)',
    'an adapter with more memory',
  ];
  throw new MMARError(
    'adapter',
    `${name} needs ${gigabytes(drawingPeak)} on the device (${items.join(', ')}), but ${gigabytes(Math.max(0, available))} are free; choose ${choices.join(', ')}`,
  );
}
