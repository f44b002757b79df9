import { MMARError } from '../base/error.ts';
import type { Picture, Source } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import type { MemoryReport } from '../engine/memory.ts';
import { Profile } from '../engine/profile.ts';
import type { Program } from '../engine/program.ts';
import { packRows, type Tensor } from '../engine/tensor.ts';
import { type Checkpoint, openCheckpoint } from '../loaders/checkpoint.ts';
import { pictureToPixels, pixelsToPicture } from '../loaders/image.ts';
import { loadTokenizer, type TextTokenizer } from '../loaders/tokenizer.ts';
import { permutation } from '../shaders/random.ts';
import { asMMAR, type MMARConfig, parseConfig } from './config.ts';
import { Drawing, type DrawingInput, type DrawingSettings, type DrawingStep } from './drawing.ts';
import { type Parts, planParts } from './parts.ts';
import { checkPlan, planMemory } from './plan.ts';
import { Reading } from './reading.ts';
import { checkDecoding } from './text.ts';
import type { Activations, LoadProgress } from './weights.ts';

export interface LoadOptions {
  /** The device to run on. */
  device: Device;
  /** `bf16` (the default) or `f32`: how activations are kept between operations. */
  precision?: Activations;
  /** Bytes that the device can hold, where that is known (a software adapter: the machine's free memory); checked before anything is loaded. */
  available?: number;
  /** Whether it is to be trained: with `f32`, its weights are f32 too. */
  learns?: boolean;
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

export interface GenerateOptions extends Partial<DrawingSettings> {
  /** What to draw; empty: anything. */
  prompt?: string;
  /** A whole number from 0 to 2^53 - 1; the same seed gives the same picture. */
  seed?: number;
  signal?: AbortSignal;
}

/** A step of `generate`. The last one's `known` equals its `total`. */
export interface GenerateStep extends DrawingStep {
  /** The picture as it stands: tokens that are not known yet count as zero. */
  preview(signal?: AbortSignal): Promise<Picture>;
  /** The tokens drawn so far, f32 [L, d]. */
  tokens(): Promise<Float32Array<ArrayBuffer>>;
}

export interface DescribeOptions {
  image: Picture;
  question?: string;
  max_new_tokens?: number;
  /** 0 (the default): the likeliest token each time. */
  temperature?: number;
  top_p?: number;
  seed?: number;
  signal?: AbortSignal;
}

export interface Piece {
  /** Text that this token completes; may be empty. */
  text: string;
  id: number;
}

/** Bytes on the device. */
export interface ModelMemory extends MemoryReport {
  weights: number;
}

/** Settings of `generate` where neither the caller nor the checkpoint's `generation_config.json` gives one. */
const defaults: DrawingSettings = {
  iterations: 64,
  steps: 100,
  cfg: 3,
  cfg_schedule: 'linear',
  eta: 0,
  temperature: 1,
};

/**
 * Loads a checkpoint (spec: checkpoint.md) onto a device.
 *
 * Throws `checkpoint` where a file, a setting or a tensor is missing or wrong, `file` where one cannot be read, `adapter`
 * and `device` where the device cannot hold it, `cancelled` where the signal was aborted; then nothing stays on the device.
 */
export async function loadMMAR(
  from: Source | Checkpoint,
  { device, precision = 'bf16', available, learns, onProgress, signal }: LoadOptions,
): Promise<MMAR> {
  const checkpoint = 'tensors' in from ? from : await openCheckpoint(from, signal);
  const config = await readConfig(checkpoint, signal);
  const parts = planParts(checkpoint, config, precision, device.maxBinding, learns);
  parts.weights.check(checkpoint); // the rehearsal takes the config's word for every size
  checkPlan(await planMemory(checkpoint, config, { device, precision }), checkpoint.source.name, available);
  try {
    await parts.weights.load(device, checkpoint, onProgress, signal);
  } catch (error) {
    parts.weights.release(device);
    throw error;
  }
  return new MMAR(
    device,
    checkpoint,
    config,
    parts,
    ((await checkpoint.json('generation_config.json', signal)) ?? {}) as Record<string, unknown>,
  );
}

export async function readConfig(checkpoint: Checkpoint, signal?: AbortSignal): Promise<MMARConfig> {
  const json = await checkpoint.json('config.json', signal);
  if (json === undefined)
    throw new MMARError(
      'checkpoint',
      `${checkpoint.source.name} has no config.json; give the folder of an MMAR checkpoint`,
    );
  return asMMAR(parseConfig(json, checkpoint.source.name), checkpoint.source.name);
}

/** A loaded model. It does one thing at a time: a second call waits for none, it is a `usage` error. */
export class MMAR {
  /** Settings of `generate` unless given: the checkpoint's own. */
  readonly defaults: DrawingSettings;
  private readonly max_new_tokens: number;
  private drawing?: Drawing;
  private reading?: Reading;
  private decoder?: { tokens: Tensor; program: Program; pixels: Tensor };
  private loadedTokenizer?: Promise<TextTokenizer>;
  private busy = '';
  private closed = false;

  /** Use `loadMMAR`. */
  constructor(
    readonly device: Device,
    private readonly checkpoint: Checkpoint,
    readonly config: MMARConfig,
    readonly parts: Parts,
    generation: Record<string, unknown>,
  ) {
    const given = <T>(key: string, type: string, otherwise: T): T =>
      typeof generation[key] === type ? (generation[key] as T) : otherwise;
    this.defaults = {
      iterations: given('iterations', 'number', Math.min(defaults.iterations, config.image_tokens)),
      steps: given('steps', 'number', Math.min(defaults.steps, config.diffusion.timesteps)),
      cfg: given('cfg', 'number', defaults.cfg),
      cfg_schedule: given('cfg_schedule', 'string', defaults.cfg_schedule),
      eta: given('eta', 'number', defaults.eta),
      temperature: given('temperature', 'number', defaults.temperature),
    };
    this.max_new_tokens = given('max_new_tokens', 'number', 256);
  }

  /** The text tokenizer, loaded when it is first asked for. */
  tokenizer(): Promise<TextTokenizer> {
    this.loadedTokenizer ??= loadTokenizer(this.checkpoint);
    return this.loadedTokenizer;
  }

  memory(): ModelMemory {
    return { weights: this.parts.weights.bytes, ...this.device.memory.report() };
  }

  /** Measures the device's time a part from now on, or stops measuring; gives the seconds measured since the last call. */
  setProfile(on: boolean): Record<string, number> {
    const seconds = this.device.queue.profile?.seconds ?? {};
    this.device.queue.profile = on ? new Profile(this.device.gpu) : undefined;
    return seconds;
  }

  /** Draws a picture: P(I|T), or P(I) for an empty prompt. */
  async *generate(options: GenerateOptions = {}): AsyncGenerator<GenerateStep> {
    const { prompt = '', seed = 0, signal } = options,
      settings = this.settings(options);
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new MMARError('usage', `seed is ${seed}; give a whole number from 0 to 2^53 - 1`);
    const tokenizer = await this.tokenizer();
    const { before } = tokenizer.drawingPrompt(prompt),
      { before: uncond } = tokenizer.drawingPrompt('');
    yield* this.draw(
      { before, uncond, order: permutation(this.config.image_tokens, seed), noise: { seed } },
      settings,
      signal,
    );
  }

  /** `generate` from ids, an order and a noise of one's own. */
  async *draw(input: DrawingInput, settings: DrawingSettings, signal?: AbortSignal): AsyncGenerator<GenerateStep> {
    const done = this.start('drawing');
    try {
      const guided = settings.cfg !== 1 && input.before.join() !== input.uncond.join(),
        branches = guided ? 2 : 1;
      const needed = Math.max(input.before.length, guided ? input.uncond.length : 0) + 1 + this.config.image_tokens;
      const drawing = await this.drawingFor(branches, needed, settings);
      for await (const step of drawing.run(input, settings, signal)) {
        yield {
          ...step,
          preview: (signal) => this.decodeFrom(drawing.tokens, signal),
          tokens: () => this.device.read(drawing.tokens),
        };
      }
    } finally {
      done();
    }
  }

  /** Reads a picture: P(T|I), decoded token by token. */
  async *describe(options: DescribeOptions): AsyncGenerator<Piece> {
    const {
      image,
      question = 'What is this?',
      temperature = 0,
      top_p = 1,
      seed = 0,
      max_new_tokens = this.max_new_tokens,
      signal,
    } = options;
    checkDecoding({ temperature, top_p, max_new_tokens });
    const tokenizer = await this.tokenizer(),
      stream = tokenizer.decodeStream();
    const tokens = await this.encode(image, signal);
    for await (const id of this.read(
      { ...tokenizer.readingPrompt(question), tokens },
      { temperature, top_p, seed, max_new_tokens, eosIds: tokenizer.eosIds },
      signal,
    )) {
      yield { text: stream.push(id), id };
    }
    const rest = stream.flush();
    if (rest) yield { text: rest, id: -1 };
  }

  /** `describe` from ids and tokens; yields ids. */
  async *read(...[input, settings, signal]: Parameters<Reading['run']>): AsyncGenerator<number> {
    const done = this.start('reading');
    try {
      const needed =
        input.before.length + input.after.length + 2 + this.config.image_tokens + settings.max_new_tokens + 1;
      yield* (await this.readingFor(needed)).run(input, settings, signal);
    } finally {
      done();
    }
  }

  /** A picture's tokens, f32 [L, d]; it is resized and centre-cropped to the model's size. */
  async encode(picture: Picture, signal?: AbortSignal): Promise<Float32Array<ArrayBuffer>> {
    return this.encodePixels(pictureToPixels(picture, this.config.image_tokenizer.resolution), signal);
  }

  /** @param planes [3, S, S] in [-1, 1] */
  async encodePixels(planes: Float32Array, signal?: AbortSignal): Promise<Float32Array<ArrayBuffer>> {
    const { resolution: S, in_channels } = this.config.image_tokenizer,
      { device, parts } = this;
    const pixels = device.tensor('pixels', 'f32', [S * S, in_channels]);
    try {
      device.write(pixels, packRows('f32', in_channels, planesToRows(planes, in_channels)));
      const { tokens } = await device.evaluate(
        'encode',
        (p) => {
          p.part('encode');
          return { tokens: parts.image_tokenizer.encode(p, pixels) };
        },
        signal,
      );
      return tokens;
    } finally {
      device.release(pixels);
    }
  }

  /** The picture of tokens, f32 [L, d]. */
  async decode(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Picture> {
    return pixelsToPicture(await this.decodePixels(tokens, signal), this.config.image_tokenizer.resolution);
  }

  /** The pixels of tokens, [3, S, S], not clamped. */
  async decodePixels(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    const { tokens: input } = await this.decoding();
    this.device.write(input, packRows('f32', input.cols, tokens));
    return this.runDecoder(signal);
  }

  private async decodeFrom(tokens: Tensor, signal?: AbortSignal): Promise<Picture> {
    const { tokens: input } = await this.decoding();
    this.device.copy(tokens, input);
    return pixelsToPicture(await this.runDecoder(signal), this.config.image_tokenizer.resolution);
  }

  private async runDecoder(signal?: AbortSignal): Promise<Float32Array> {
    const { program, pixels } = await this.decoding();
    await this.device.queue.run(program, signal);
    const rows = await this.device.read(pixels);
    await this.device.queue.idle();
    return rowsToPlanes(rows, this.config.image_tokenizer.in_channels);
  }

  /** The decoder's program, recorded when it is first needed. */
  private async decoding() {
    if (this.decoder) return this.decoder;
    const { image_tokens, image_tokenizer } = this.config,
      tokens = this.device.tensor('tokens to decode', 'f32', [image_tokens, image_tokenizer.embed_dim]);
    let pixels!: Tensor;
    const program = await this.device.record('decode', (p) => {
      p.part('decode');
      pixels = p.keep(this.parts.image_tokenizer.decode(p, tokens));
    });
    this.decoder = { tokens, program, pixels };
    return this.decoder;
  }

  private settings(options: Partial<DrawingSettings>): DrawingSettings {
    const pick = <K extends keyof DrawingSettings>(key: K): DrawingSettings[K] => options[key] ?? this.defaults[key];
    const settings = {
      iterations: pick('iterations'),
      steps: pick('steps'),
      cfg: pick('cfg'),
      cfg_schedule: pick('cfg_schedule'),
      eta: pick('eta'),
      temperature: pick('temperature'),
    };
    for (const [key, least] of Object.entries({ cfg: 0, eta: 0, temperature: 0 })) {
      const value = settings[key as 'cfg'];
      if (!(value >= least && Number.isFinite(value)))
        throw new MMARError('usage', `${key} is ${value}; give a number from ${least} up`);
    }
    if (settings.eta > 1)
      throw new MMARError('usage', `eta is ${settings.eta}; give a number from 0 (DDIM) to 1 (DDPM)`);
    if (!['constant', 'linear'].includes(settings.cfg_schedule))
      throw new MMARError('usage', `cfg_schedule is ${settings.cfg_schedule}; give constant or linear`);
    return settings;
  }

  private start(what: string): () => void {
    if (this.closed) throw new MMARError('usage', 'the model was closed; load it again');
    if (this.busy) throw new MMARError('usage', `the model is ${this.busy}; wait for it or stop it first`);
    this.busy = what;
    return () => {
      this.busy = '';
    };
  }

  private checkLength(tokens: number): number {
    const most = this.config.llm.max_position_embeddings;
    if (tokens > most)
      throw new MMARError(
        'usage',
        `the text and the picture take ${tokens} tokens, the model has ${most} positions; give a shorter text`,
      );
    return Math.min(most, Math.ceil(tokens / 64) * 64);
  }

  private async drawingFor(branches: 1 | 2, tokens: number, { steps, eta }: DrawingSettings): Promise<Drawing> {
    const capacity = this.checkLength(tokens),
      now = this.drawing;
    if (now && now.branches === branches && now.capacity >= capacity && now.steps === steps && now.noisy === eta > 0)
      return now;
    await now?.release();
    this.drawing = new Drawing(this.device, this.parts, branches, capacity, steps, eta > 0);
    return this.drawing;
  }

  private async readingFor(tokens: number): Promise<Reading> {
    const capacity = this.checkLength(tokens);
    if (this.reading && this.reading.capacity >= capacity) return this.reading;
    await this.reading?.release();
    this.reading = new Reading(this.device, this.parts, capacity);
    return this.reading;
  }

  /** Gives the device memory back. The device itself stays open. */
  async close(): Promise<void> {
    this.closed = true;
    await this.drawing?.release();
    await this.reading?.release();
    if (this.decoder) {
      this.decoder.program.destroy();
      this.device.release(this.decoder.tokens);
      this.device.release(this.decoder.pixels);
    }
    this.parts.weights.release(this.device);
    await this.checkpoint.source.close();
  }
}

/** [channels, pixels] to [pixels, channels]. */
export function planesToRows(planes: ArrayLike<number>, channels: number): Float32Array {
  const pixels = planes.length / channels;
  return Float32Array.from(
    { length: planes.length },
    (_, i) => planes[(i % channels) * pixels + Math.floor(i / channels)],
  );
}

/** [pixels, channels] to [channels, pixels]. */
export function rowsToPlanes(rows: ArrayLike<number>, channels: number): Float32Array {
  const pixels = rows.length / channels;
  return Float32Array.from({ length: rows.length }, (_, i) => rows[(i % pixels) * channels + Math.floor(i / pixels)]);
}
