import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { Profile } from '../engine/profile.ts';
import { parseConfig } from '../model/config.ts';
import { mergeWeights } from '../model/merge_weights.ts';
import { MMAR } from '../model/mmar.ts';
import { declaredCheckpoint } from '../model/random_weights.ts';
import { Sequence } from '../model/sequence.ts';
import { ploraOf } from '../model/system.ts';
import { planSystem } from '../model/variants/index.ts';
import { permutation } from '../shaders/random.ts';
import type { ModelRow } from './report.ts';
import { makeWeights } from './weights.ts';

export interface FigureOptions {
  /** Seconds after which a drawing is left and its time told by the steps that were done. */
  budget?: number;
  signal?: AbortSignal;
  onProgress?: (what: string) => void;
  onRow?: (row: ModelRow) => void;
  /** Why a figure is missing. */
  onNote?: (note: string) => void;
}

/** A model of that `config.json` with weights that are made on the device: no file, no download. The caller closes it. */
export async function madeModel(device: Device, json: unknown, name: string): Promise<MMAR> {
  const checkpoint = declaredCheckpoint(json, name);
  const system = planSystem(checkpoint, parseConfig(json, name), 'bf16', device.maxBinding);
  await makeWeights(device, system.weights);
  if (ploraOf(system, undefined) === 'merged') await mergeWeights(device, system.weights);
  return new MMAR(device, checkpoint, system, {});
}

/** Times what a model does, by the clock until the queue is empty; a figure a row. */
export async function modelFigures(
  model: MMAR,
  name: string,
  { budget = 60, signal, onProgress, onRow, onNote }: FigureOptions = {},
): Promise<ModelRow[]> {
  const rows: ModelRow[] = [];
  const figures = new Figures(model, budget, signal, (figure, value, unit) => {
    const row = { model: name, figure, value, unit };
    rows.push(row);
    onRow?.(row);
  });
  onProgress?.(`${name}: reading text`);
  await figures.text();
  onProgress?.(`${name}: the image tokenizer`);
  await figures.tokenizer();
  onProgress?.(`${name}: drawing`);
  await figures.drawing();
  await figures.memory();
  for (const count of [4, 16]) {
    onProgress?.(`${name}: drawing ${count} at once`);
    try {
      await figures.pictures(count);
    } catch (error) {
      // That many may be too much for the device's memory: the others' figures stand.
      if (error instanceof MMARError && error.code === 'cancelled') throw error;
      onNote?.(`${name}: ${count} pictures at once were not drawn: ${(error as Error).message}`);
      break;
    }
  }
  return rows;
}

/** What is timed of a model, part by part. */
export class Figures {
  private readonly device: Device;

  constructor(
    private readonly model: MMAR,
    private readonly budget: number,
    private readonly signal: AbortSignal | undefined,
    private readonly add: (figure: string, value: number, unit: string) => void,
  ) {
    this.device = model.device;
  }

  /** Prefill and decoding, behind as much text as the model has positions for, 512 at most. */
  async text(): Promise<void> {
    const { llm, config } = this.model.system,
      decoded = 17,
      length = Math.min(512, config.llm.max_position_embeddings - decoded - 1);
    const text = new Sequence(this.device, llm, length + decoded + 1),
      ids = Array.from({ length }, (_, i) => (i * 7919) % llm.vocab_size),
      greedy = { temperature: 0, top_p: 1, seed: 1, max_new_tokens: decoded, eosIds: [] };
    const prefill = async () => {
      text.forget();
      await text.read([{ ids }], { next: greedy, signal: this.signal });
    };
    const decode = async (count: number) => {
      for await (const _ of text.decode({ ...greedy, max_new_tokens: count }, this.signal));
    };
    try {
      const first = await this.seconds(prefill);
      this.add(`first token of ${length}, with compiling`, first, 's');
      this.add(`text prefill of ${length}`, length / (await this.seconds(prefill)), 'tokens/s');
      await this.seconds(() => decode(2)); // compiles
      await this.seconds(prefill);
      this.add(
        `decoding behind ${length}`,
        (decoded - 1) / (await this.seconds(() => decode(decoded - 1))),
        'tokens/s',
      );
    } finally {
      await text.release();
    }
  }

  /** A picture to its tokens and back. */
  async tokenizer(): Promise<void> {
    const { config } = this.model,
      { resolution, in_channels, embed_dim } = config.image_tokenizer;
    const planes = Float32Array.from({ length: in_channels * resolution ** 2 }, (_, i) => Math.sin(i)),
      tokens = new Float32Array(config.image_tokens * embed_dim);
    const encode = () => this.model.encodePixels(planes, this.signal),
      decode = () => this.model.decode({ tokens, signal: this.signal });
    await this.seconds(encode);
    this.add('picture to tokens', 1000 * (await this.seconds(encode)), 'ms');
    await this.seconds(decode);
    this.add('tokens to picture', 1000 * (await this.seconds(decode)), 'ms');
  }

  /** A picture with guidance and the model's own settings: a step by part, and how many a minute there would be. */
  async drawing(): Promise<void> {
    const { device } = this,
      before = device.queue.profile,
      start = performance.now();
    try {
      await this.pictures(1, (steps) => {
        const first = (performance.now() - start) / 1000;
        if (steps === 1) this.add('first step of a picture, with prefill and compiling', first, 's');
        if (steps === 2) this.parts(device.queue.profile);
        device.queue.profile = steps === 1 ? new Profile(device.gpu) : before;
      });
    } finally {
      device.queue.profile = before;
    }
  }

  /** How many pictures a minute there would be, so many drawn side by side; `onStep` is told each step that is done. */
  async pictures(count: number, onStep: (steps: number) => void = () => {}): Promise<void> {
    const { model, device, signal } = this,
      settings = { ...model.defaults, cfg: 3 },
      words = Array.from({ length: 24 }, (_, i) => i + 1),
      start = performance.now();
    const pictures = Array.from({ length: count }, (_, i) => ({
      order: permutation(model.config.image_tokens, i + 1),
      chance: { seed: i + 1 },
    }));
    let last = start,
      steps = 0,
      iterations = 0,
      timed = 0;
    for await (const step of model.draw({ before: words, uncond: words.slice(0, 12), pictures }, settings, signal)) {
      await device.queue.idle(signal);
      steps++;
      iterations = step.iterations;
      if (steps > 1) timed += (performance.now() - last) / 1000; // the first step compiles
      onStep(steps);
      last = performance.now();
      if (steps > 1 && (last - start) / 1000 > this.budget && step.known < step.total) break;
    }
    if (!timed) return;
    const seconds = (timed / (steps - 1)) * iterations,
      of = steps < iterations ? `, from ${steps} of ${iterations} steps` : '';
    this.add(`pictures a minute, ${count === 1 ? 'one' : count} at once${of}`, (60 * count) / seconds, 'pictures');
  }

  async memory(): Promise<void> {
    const { weights, peak } = await this.model.memory();
    this.add('weights', weights / 1e6, 'MB');
    this.add('peak memory on the device', peak / 1e6, 'MB');
  }

  private parts(profile: Profile | undefined): void {
    const parts = Object.entries(profile?.seconds ?? {});
    for (const [part, seconds] of parts) this.add(`second step of a picture: ${part}`, 1000 * seconds, 'ms');
    const dispatches = Object.entries(profile?.dispatches ?? {});
    for (const [part, count] of dispatches) this.add(`second step of a picture: ${part}`, count, 'dispatches');
  }

  private async seconds(run: () => Promise<unknown>): Promise<number> {
    const start = performance.now();
    await run();
    await this.device.queue.idle(this.signal);
    return (performance.now() - start) / 1000;
  }
}
