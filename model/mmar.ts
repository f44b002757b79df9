import { MMARError } from '../base/error.ts';
import type { Picture, Platform, Source } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import { Profile } from '../engine/profile.ts';
import { type Checkpoint, openCheckpoint } from '../loaders/checkpoint.ts';
import { pictureToPixels, pixelsToPicture } from '../loaders/image.ts';
import { loadTokenizer, type TextTokenizer } from '../loaders/tokenizer.ts';
import { permutation } from '../shaders/random.ts';
import {
  type Answer,
  type AnswerOptions,
  type BatchOptions,
  type ChatOptions,
  type DecodeOptions,
  type DescribeOptions,
  type Drawn,
  type EncodedImage,
  type EncodeOptions,
  type GenerateOptions,
  type GenerateStep,
  type Model,
  type ModelMemory,
  type PatchInput,
  type Piece,
  resultOf,
  type Taught,
  type TeachOptions,
  type TeachStep,
} from './api.ts';
import { checkDrawing, checkDrawn, checkNumbers, checkOptions, checkSegments } from './checks.ts';
import { type Config, parseConfig } from './config.ts';
import { Drawer } from './drawer.ts';
import { type DrawingInput, joined } from './drawing.ts';
import { ImageCodec } from './image_codec.ts';
import { type LoadProgress, loadWeights } from './load_weights.ts';
import { mergeWeights } from './merge_weights.ts';
import { openPatch, Patched } from './patched.ts';
import { pictureOf } from './pictures.ts';
import { checkPlan, planMemory } from './plan.ts';
import { conversation, Reader } from './reader.ts';
import type { DecodeSettings, Segment } from './sequence.ts';
import {
  type AnswerSettings,
  answerSettings,
  checkSeed,
  type DrawingSettings,
  defaultSettings,
  resolveAnswer,
  resolveSettings,
  type SettingsTable,
} from './settings.ts';
import { type PLoRA, ploraOf, type System } from './system.ts';
import { type TraceTensors, trace } from './trace.ts';
import { Turns } from './turns.ts';
import { planSystem } from './variants/index.ts';
import type { Activations } from './weights.ts';

export interface LoadOptions {
  /** The device to run on. */
  device: Device;
  /** `bf16` (the default) or `f32`: how activations are kept between operations. */
  precision?: Activations;
  /** Bytes that the device can hold, where that is known (a software adapter: the machine's free memory); checked before anything is loaded. */
  available?: number;
  /** Whether it is to be trained: with `f32`, its weights are f32 too. */
  learns?: boolean;
  /** How image tokens meet PLoRA: `merged` (the default in bf16, but for `vq` and where it takes much memory) or `separate`. */
  plora?: PLoRA;
  /** Decodes pictures that are given as files; without it they are given as pixels. */
  platform?: Platform;
  /** Teaches it; without one it cannot learn. */
  teacher?: Teacher;
  /** Laid over the checkpoint, as by `usePatch`. */
  patch?: PatchInput;
  /** Called when the model was closed: lets go of the device where it is the model's own. */
  closed?: () => void;
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

/** Teaches a model (`training/`). */
export type Teacher = (model: MMAR, options: TeachOptions) => AsyncGenerator<TeachStep, Taught>;

/**
 * Loads a checkpoint (spec: checkpoint.md) onto a device.
 *
 * Throws `checkpoint` where a file, a setting or a tensor is missing or wrong, `file` where one cannot be read, `adapter`
 * and `device` where the device cannot hold it, `cancelled` where the signal was aborted; then nothing stays on the device.
 */
export async function loadMMAR(from: Source | Checkpoint, options: LoadOptions): Promise<MMAR> {
  const { device, precision = 'bf16', available = Infinity, learns, patch, onProgress, signal } = options;
  if (typeof from !== 'object' || from === null || !('tensors' in from || typeof from.size === 'function'))
    throw new MMARError('usage', `${String(from)} is no place of a model; give a path, a URL or a model of the Hub`);
  if (precision !== 'bf16' && precision !== 'f32')
    throw new MMARError('usage', `precision is ${String(precision)}; give bf16 or f32`);
  if (options.plora !== undefined && options.plora !== 'merged' && options.plora !== 'separate')
    throw new MMARError('usage', `plora is ${String(options.plora)}; give merged or separate`);
  const checkpoint = 'tensors' in from ? from : await openCheckpoint(from, signal);
  const config = await readConfig(checkpoint, signal);
  const system = planSystem(checkpoint, config, precision, device.maxBinding, learns);
  system.weights.check(checkpoint); // the rehearsal takes the config's word for every size
  // Of memory that is free at a moment it does not depend: the same seed would not be the same picture.
  const plan = await planMemory(checkpoint, config, {
    device,
    precision,
    plora: ploraOf(system, options.plora, learns),
  });
  checkPlan(plan, checkpoint.source.name, available);
  try {
    await loadWeights(device, system.weights, checkpoint, onProgress, signal);
    if (plan.plora === 'merged') await mergeWeights(device, system.weights, signal);
    const generation = ((await checkpoint.json('generation_config.json', signal)) ?? {}) as Record<string, unknown>;
    const model = new MMAR(device, checkpoint, system, generation, options);
    if (patch !== undefined) await model.usePatch(patch, signal);
    return model;
  } catch (error) {
    system.weights.release(device);
    throw error;
  }
}

export async function readConfig(checkpoint: Checkpoint, signal?: AbortSignal): Promise<Config> {
  const json = await checkpoint.json('config.json', signal);
  if (json === undefined)
    throw new MMARError(
      'checkpoint',
      `${checkpoint.source.name} has no config.json; give the folder of an MMAR checkpoint`,
    );
  return parseConfig(json, checkpoint.source.name);
}

/** A loaded model: one of the paper's systems, its weights on a device. */
export class MMAR implements Model {
  readonly config: Config;
  readonly defaults: DrawingSettings;
  readonly settingsTable: SettingsTable;
  onLost: (message: string) => void = () => {};
  private readonly answerDefaults: { max_new_tokens: number };
  private readonly codec: ImageCodec;
  private readonly reader: Reader;
  private readonly drawer: Drawer;
  private readonly turns = new Turns();
  private readonly tracing = new Turns();
  private readonly lessons = new Turns();
  /** What is laid over the checkpoint. */
  readonly patches: Patched;
  private loadedTokenizer: Promise<TextTokenizer> | undefined;
  private closing: Promise<void> | undefined;

  /** Use `loadMMAR`. */
  constructor(
    readonly device: Device,
    readonly checkpoint: Checkpoint,
    readonly system: System,
    generation: Record<string, unknown>,
    private readonly options: Pick<LoadOptions, 'available' | 'platform' | 'teacher' | 'closed'> = {},
  ) {
    this.config = system.config;
    this.settingsTable = system.settings;
    this.defaults = defaultSettings(system.settings, generation);
    const { max_new_tokens: most = answerSettings.max_new_tokens.default } = generation;
    this.answerDefaults = { max_new_tokens: Number(most) };
    this.patches = new Patched(device, checkpoint, system.weights, (work) => this.exchange(work));
    this.codec = new ImageCodec(device, system);
    this.drawer = new Drawer(device, system, (tokens, signal) => this.pictureOfTokens(tokens, signal));
    this.reader = new Reader(device, system.llm, this.config.llm.max_position_embeddings, system);
    void device.gpu.lost.then(({ message, reason }) => {
      if (this.closing) return;
      this.onLost(
        `the graphics device was lost (${reason || 'unknown'})${message ? `: ${message.split('\n')[0]}` : ''}`,
      );
    });
  }

  /** Bytes that the device can hold, as far as it is known. */
  get available(): number {
    return this.options.available ?? Infinity;
  }

  /** The text tokenizer, loaded when it is first asked for. */
  tokenizer(): Promise<TextTokenizer> {
    if (!this.loadedTokenizer) {
      this.loadedTokenizer = loadTokenizer(this.checkpoint);
      this.loadedTokenizer.catch(() => {
        this.loadedTokenizer = undefined;
      });
    }
    return this.loadedTokenizer;
  }

  async eosIds(): Promise<readonly number[]> {
    return (await this.tokenizer().catch(() => undefined))?.eosIds ?? [];
  }

  async memory(): Promise<ModelMemory> {
    return { weights: this.system.weights.bytes, ...this.device.memory.report() };
  }

  async setProfile(on: boolean): Promise<Record<string, number>> {
    const seconds = this.device.queue.profile?.seconds ?? {};
    this.device.queue.profile = on ? new Profile(this.device.gpu) : undefined;
    return seconds;
  }

  /** Draws a picture: P(I|T), or P(I) for an empty prompt; with `seeds`, several of them side by side. */
  generate(options: BatchOptions): Promise<Drawn[]>;
  generate(options?: GenerateOptions): Promise<Drawn>;
  async generate(options: GenerateOptions | BatchOptions = {}): Promise<Drawn | Drawn[]> {
    const drawn = await resultOf(this.generateStream(options));
    return 'seeds' in options ? drawn : drawn[0];
  }

  async *generateStream(options: GenerateOptions | BatchOptions = {}): AsyncGenerator<GenerateStep, Drawn[]> {
    checkOptions(options);
    const { prompt = '', signal } = options;
    if ('seeds' in options && !Array.isArray(options.seeds))
      throw new MMARError('usage', `seeds is ${String(options.seeds)}; give a list of whole numbers`);
    const seeds = 'seeds' in options ? [...options.seeds] : [(options as GenerateOptions).seed ?? 0];
    for (const seed of seeds) checkSeed(seed, 'seeds' in options ? 'one of seeds' : 'seed');
    if (!seeds.length) throw new MMARError('usage', 'seeds is empty; give one or more');
    const settings = this.settings(options);
    return yield* this.turns.stream(() => this.drawPrompt(prompt, seeds, settings, signal), signal);
  }

  private async *drawPrompt(
    prompt: string,
    seeds: readonly number[],
    settings: DrawingSettings,
    signal?: AbortSignal,
  ): AsyncGenerator<GenerateStep, Drawn[]> {
    const tokenizer = await this.tokenizer();
    const { before } = tokenizer.drawingPrompt(prompt);
    const { before: uncond } = tokenizer.drawingPrompt('');
    const pictures = seeds.map((seed) => ({
      order: permutation(this.config.image_tokens, seed),
      chance: { seed },
    }));
    const input = { before, uncond, pictures };
    checkDrawing(input, settings, this.system);
    let last: GenerateStep | undefined;
    for await (const step of this.drawer.draw(input, settings, signal)) {
      this.codec.expectDecoding();
      last = step;
      yield step;
    }
    const drawn: Drawn[] = [];
    for (const { seed, tokens, codes, preview } of last!.pictures) {
      const own = await tokens();
      checkDrawn(own, settings);
      drawn.push({ picture: await preview(signal), tokens: own, codes: await codes(), seed, prompt, settings });
    }
    return drawn;
  }

  /** Draws from ids, orders and chances of one's own. */
  async *draw(input: DrawingInput, settings: DrawingSettings, signal?: AbortSignal): AsyncGenerator<GenerateStep> {
    checkDrawing(input, settings, this.system);
    yield* this.turns.stream(() => this.drawer.draw(input, settings, signal), signal);
  }

  /** The tokens at the end of a drawing, of all its pictures. */
  async drawTokens(
    input: DrawingInput,
    settings: DrawingSettings,
    signal?: AbortSignal,
  ): Promise<{ tokens: Float32Array; codes?: Float32Array }> {
    let last!: GenerateStep;
    for await (const step of this.draw(input, settings, signal)) last = step;
    const tokens = joined(await Promise.all(last.pictures.map((picture) => picture.tokens())));
    const codes = await Promise.all(last.pictures.map((picture) => picture.codes()));
    return codes[0] ? { tokens, codes: joined(codes as Float32Array[]) } : { tokens };
  }

  /** Reads a picture: P(T|I). */
  describe(options: DescribeOptions): Promise<Answer> {
    return resultOf(this.describeStream(options));
  }

  async *describeStream(options: DescribeOptions): AsyncGenerator<Piece, Answer> {
    checkOptions(options);
    const { image, question = 'What is this?', signal } = options;
    const read = async (tokenizer: TextTokenizer) => {
      const { before, after } = tokenizer.readingPrompt(question);
      const { tokens } = await this.codec.encodeOnce(await pictureOf(image, this.options.platform, signal), signal);
      return this.aroundImage(before, tokens, after);
    };
    return yield* this.answer(read, options);
  }

  /** Answers the last of some messages. Throws `usage` where they are too long or hold a special token. */
  chat(options: ChatOptions): Promise<Answer> {
    return resultOf(this.chatStream(options));
  }

  async *chatStream(options: ChatOptions): AsyncGenerator<Piece, Answer> {
    checkOptions(options);
    return yield* this.answer(async (tokenizer) => [{ ids: conversation(tokenizer, options.messages) }], options);
  }

  /** @param read what is to be read, made when it has its turn */
  private answer(
    read: (tokenizer: TextTokenizer) => Promise<Segment[]>,
    { signal, ...options }: AnswerOptions,
  ): AsyncGenerator<Piece, Answer> {
    const settings = resolveAnswer(options, this.answerDefaults);
    return this.turns.stream(() => this.answering(read, settings, signal), signal);
  }

  private async *answering(
    read: (tokenizer: TextTokenizer) => Promise<Segment[]>,
    settings: AnswerSettings,
    signal?: AbortSignal,
  ): AsyncGenerator<Piece, Answer> {
    const tokenizer = await this.tokenizer();
    return yield* this.reader.answer(await read(tokenizer), tokenizer, settings, signal);
  }

  /** `describe` from ids and tokens; yields ids. */
  async *read(
    { before, tokens, after }: { before: readonly number[]; tokens: ArrayLike<number>; after: readonly number[] },
    settings: DecodeSettings,
    signal?: AbortSignal,
  ): AsyncGenerator<number> {
    const segments = this.aroundImage(before, tokens, after);
    checkSegments(segments, this.system);
    yield* this.turns.stream(() => this.reader.decode(segments, settings, signal), signal);
  }

  private aroundImage(before: readonly number[], tokens: ArrayLike<number>, after: readonly number[]): Segment[] {
    const { image_start, image_end } = this.system.llm;
    return [{ ids: [...before, image_start] }, { image: { tokens } }, { ids: [image_end, ...after] }];
  }

  /** A picture's tokens; it is resized and centre-cropped to the model's size. */
  async encode(options: EncodeOptions): Promise<EncodedImage> {
    checkOptions(options);
    const { image, signal } = options;
    const { resolution } = this.config.image_tokenizer;
    const pixels = async () => pictureToPixels(await pictureOf(image, this.options.platform, signal), resolution);
    const { tokens, codes } = await this.codec.encode(pixels, signal);
    return { tokens, shape: [...this.system.imageShape], codes };
  }

  /** @param planes [3, S, S] in [-1, 1] */
  encodePixels(planes: Float32Array, signal?: AbortSignal): Promise<{ tokens: Float32Array; codes?: Float32Array }> {
    return this.codec.encode(async () => planes, signal);
  }

  /** The picture of tokens. */
  async decode(options: DecodeOptions): Promise<{ picture: Picture }> {
    checkOptions(options);
    return { picture: await this.pictureOfTokens(options.tokens, options.signal) };
  }

  private async pictureOfTokens(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Picture> {
    return pixelsToPicture(await this.decodePixels(tokens, signal), this.config.image_tokenizer.resolution);
  }

  /** The pixels of tokens, [3, S, S], not clamped. */
  async decodePixels(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    checkNumbers('tokens', tokens, this.system.imageShape);
    return this.codec.decode(tokens, signal);
  }

  teach(options: TeachOptions): Promise<Taught> {
    return resultOf(this.teachStream(options));
  }

  /** Meanwhile it draws and reads with what it has learned so far. */
  teachStream(options: TeachOptions): AsyncGenerator<TeachStep, Taught> {
    const { teacher } = this.options;
    if (!teacher) throw new MMARError('usage', 'this model was loaded without a teacher, so it cannot learn');
    return this.lessons.stream(() => teacher(this, options), options.signal);
  }

  async usePatch(patch: PatchInput, signal?: AbortSignal): Promise<void> {
    const opened = openPatch(patch, this.options.platform);
    await this.lessons.during(() => this.patches.lay(opened, 'checkpoint', signal), signal);
  }

  savePatch(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.lessons.during(() => this.patches.save());
  }

  forget(): Promise<void> {
    return this.lessons.during(() => this.patches.forget());
  }

  /** Exchanges tensors when nothing is drawn or read; what was recorded with the old ones goes. */
  private exchange(work: () => Promise<void>): Promise<void> {
    return this.turns.during(async () => {
      await this.drawer.release();
      await this.reader.release();
      await work();
    });
  }

  /** What was computed with the weights as they were is computed anew. */
  weightsChanged(): void {
    this.drawer.forget();
    this.reader.forget();
  }

  /** Runs one part of the graph; see `trace`. */
  trace(part: string, inputs: TraceTensors, settings: Record<string, string> = {}): Promise<TraceTensors> {
    return this.tracing.during(() => trace(this, part, inputs, settings));
  }

  /** Settings of a drawing, checked. */
  settings(options: Partial<DrawingSettings>): DrawingSettings {
    return resolveSettings(this.system.settings, this.defaults, options, this.config.variant);
  }

  close(): Promise<void> {
    this.closing ??= this.letGo();
    return this.closing;
  }

  private async letGo(): Promise<void> {
    const reason = new MMARError('usage', 'the model was closed; load it again');
    await Promise.all([this.turns, this.tracing, this.lessons].map((turns) => turns.close(reason)));
    await this.codec.close(reason);
    try {
      await this.drawer.release();
      await this.reader.release();
      this.system.weights.release(this.device);
    } finally {
      await this.checkpoint.source.close();
      this.options.closed?.();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
