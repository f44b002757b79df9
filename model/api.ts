/** What a model offers, here or in a worker. */
import type { Picture } from '../base/platform.ts';
import type { MemoryReport } from '../engine/memory.ts';
import type { Message } from '../loaders/tokenizer.ts';
import type { Config } from './config.ts';
import type { DrawingStep } from './drawing.ts';
import type { ImageInput } from './pictures.ts';
import type { FinishReason } from './sequence.ts';
import type { AnswerSettings, DrawingSettings, SettingsTable } from './settings.ts';
import type { TraceTensors } from './trace.ts';

export interface GenerateOptions extends Partial<DrawingSettings> {
  /** What to draw; empty: anything. */
  prompt?: string;
  /** A whole number from 0 to 2^53 - 1, 0 unless given; the same seed gives the same picture. */
  seed?: number;
  signal?: AbortSignal;
}

/** Several pictures of one prompt, drawn side by side: each is the one that its seed gives alone. */
export interface BatchOptions extends Omit<GenerateOptions, 'seed'> {
  seeds: readonly number[];
}

/** A picture that was drawn. */
export interface Drawn {
  picture: Picture;
  /** f32 [L, d] */
  tokens: Float32Array<ArrayBuffer>;
  /** [L], of a codebook. */
  codes?: Float32Array<ArrayBuffer>;
  seed: number;
  prompt: string;
  settings: DrawingSettings;
}

/** One picture at one step; what its functions give is as it stood then, whenever they are called. */
export interface StepPicture {
  seed: number;
  /** Positions (raster order) that this step drew. */
  drawn: Uint32Array;
  /** Tokens that are not known yet count as zero. */
  preview(signal?: AbortSignal): Promise<Picture>;
  /** f32 [L, d] */
  tokens(): Promise<Float32Array<ArrayBuffer>>;
  /** [L], of a codebook. */
  codes(): Promise<Float32Array<ArrayBuffer> | undefined>;
}

/** A step of a drawing, with the first picture's functions. The last one's `known` equals its `total`. */
export interface GenerateStep extends Omit<DrawingStep, 'drawn'>, StepPicture {
  /** Every picture of the batch. */
  pictures: StepPicture[];
}

export interface AnswerOptions extends Partial<AnswerSettings> {
  signal?: AbortSignal;
}

export interface DescribeOptions extends AnswerOptions {
  image: ImageInput;
  question?: string;
}

export interface ChatOptions extends AnswerOptions {
  messages: readonly Message[];
}

/** A step of an answer. */
export interface Piece {
  /** Text that this step completes; may be empty. */
  text: string;
  /** The token that was decoded; absent where the last step hands out what is left of the text. */
  id?: number;
}

export interface Usage {
  /** Tokens of text and image before the answer. */
  promptTokens: number;
  /** Those of them whose keys and values were there already. */
  cachedTokens: number;
  /** Tokens of the answer, without the one that ends it. */
  answerTokens: number;
}

export interface Answer {
  text: string;
  ids: number[];
  finishReason: FinishReason;
  usage: Usage;
}

export interface EncodeOptions {
  image: ImageInput;
  signal?: AbortSignal;
}

/** An image's tokens. */
export interface EncodedImage {
  /** f32 [L, d] */
  tokens: Float32Array<ArrayBuffer>;
  shape: [number, number];
  /** [L], of a codebook. */
  codes?: Float32Array<ArrayBuffer>;
}

export interface DecodeOptions {
  /** f32 [L, d] */
  tokens: ArrayLike<number>;
  signal?: AbortSignal;
}

/** Tensors of the model, learned further, as a safetensors file: bytes, a file, or the place of one. */
export type PatchInput = Uint8Array | ArrayBuffer | Blob | URL | string;

/** A picture that is to be learned, and its words: what it is drawn from, and the answer to "What is this?". */
export interface TeachExample {
  image: ImageInput;
  prompt: string;
}

export interface TeachOptions {
  examples: readonly TeachExample[];
  /** 150 unless given. */
  steps?: number;
  /** Examples of a step, 8 unless given. */
  batch?: number;
  /** Of these, so many go through the model at once: 1, which takes the least memory, unless given. */
  microBatch?: number;
  /** The paper's choice, all but the image tokenizer, or names and globs of tensors. */
  learn?: 'paper' | 'all' | string[];
  /** So many pictures are drawn first of what the model knows, and mixed in so that it forgets nothing; 8 unless given. */
  rehearse?: number;
  /** Prompts of these; the model draws what comes to its mind unless given. */
  known?: readonly string[];
  /** The learning rate, 5e-4 unless given. */
  lr?: number;
  seed?: number;
  /** What is drawn on the way, to be watched; the first example's prompt unless given. */
  sample?: string;
  /** Steps between two such drawings; 0, which is none, unless given. */
  sampleEvery?: number;
  signal?: AbortSignal;
}

/** How far a lesson is: pictures are looked at, then known ones are rehearsed, then steps are learned. */
export interface TeachStep {
  stage: 'looking' | 'rehearsing' | 'learning';
  /** Counted from 1, of the stage. */
  step: number;
  total: number;
  /** Of `learning`, what a step told; a task that was absent from it has a loss of 0. */
  loss?: number;
  lossImage?: number;
  lossText?: number;
  examplesPerSecond?: number;
  /** Until all steps are learned, at the pace so far. */
  secondsLeft?: number;
  /** What was drawn behind this step. */
  picture?: Picture;
}

/** What came of a lesson. */
export interface Taught {
  /** What `mmar train --save patch` writes: for `usePatch`, and for `--patch` of every command. */
  patch: Uint8Array<ArrayBuffer>;
  steps: number;
}

/** Bytes on the device. */
export interface ModelMemory extends MemoryReport {
  weights: number;
}

/**
 * A loaded model. Calls wait for their turn; one that waits or runs ends at once where its signal is aborted. Everything
 * can be called in the loop of a stream, another drawing too: a stream whose reader stays away lets others go ahead.
 */
export interface Model {
  readonly config: Config;
  /** Settings of a drawing unless given: the checkpoint's own. */
  readonly defaults: DrawingSettings;
  /** The settings of a drawing that it reads, with their ranges. */
  readonly settingsTable: SettingsTable;
  /** Called when the device was lost, whether or not something ran. */
  onLost: (message: string) => void;
  generate(options: BatchOptions): Promise<Drawn[]>;
  generate(options?: GenerateOptions): Promise<Drawn>;
  generateStream(options?: GenerateOptions | BatchOptions): AsyncGenerator<GenerateStep, Drawn[]>;
  describe(options: DescribeOptions): Promise<Answer>;
  describeStream(options: DescribeOptions): AsyncGenerator<Piece, Answer>;
  chat(options: ChatOptions): Promise<Answer>;
  chatStream(options: ChatOptions): AsyncGenerator<Piece, Answer>;
  encode(options: EncodeOptions): Promise<EncodedImage>;
  decode(options: DecodeOptions): Promise<{ picture: Picture }>;
  /**
   * Teaches it pictures and their words, on the device and on nothing else. It draws and reads with what it has learned
   * from then on, also where it was stopped or its stream was left; the checkpoint's files stay as they are.
   */
  teach(options: TeachOptions): Promise<Taught>;
  teachStream(options: TeachOptions): AsyncGenerator<TeachStep, Taught>;
  /** Lays a patch over the checkpoint, in place of all that was learned. Throws `checkpoint` where it is another model's. */
  usePatch(patch: PatchInput, signal?: AbortSignal): Promise<void>;
  /** What it has beyond its checkpoint, as a patch; undefined where it is the checkpoint's own. */
  savePatch(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Returns to the checkpoint. */
  forget(): Promise<void>;
  trace(part: string, inputs: TraceTensors, settings?: Record<string, string>): Promise<TraceTensors>;
  memory(): Promise<ModelMemory>;
  /** Measures the device's time a part from now on, or stops; gives the seconds measured since the last call. */
  setProfile(on: boolean): Promise<Record<string, number>>;
  /** Waits for what runs, ends a stream that waits for its reader (`usage`), refuses what waits, and gives all memory back. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Runs a stream to its end, for what it returns. */
export async function resultOf<T>(stream: AsyncGenerator<unknown, T>): Promise<T> {
  for (;;) {
    const { done, value } = await stream.next();
    if (done) return value as T;
  }
}
