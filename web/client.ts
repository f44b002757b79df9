/** The page's side of the worker: the API of `MMAR`, its work done elsewhere. */

import { checkCancelled, MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import type { AdapterDescription } from '../engine/adapter.ts';
import type {
  Answer as Answered,
  BatchOptions,
  ChatOptions,
  DecodeOptions,
  DescribeOptions,
  Drawn,
  EncodedImage,
  EncodeOptions,
  GenerateOptions,
  GenerateStep,
  Model,
  ModelMemory,
  PatchInput,
  Piece,
  StepPicture,
  Taught,
  TeachOptions,
  TeachStep,
} from '../model/api.ts';
import type { PLoRA } from '../model/system.ts';
import type { TraceTensors } from '../model/trace.ts';
import type { Activations } from '../model/weights.ts';
import type { DeviceOptions } from '../platform/browser.ts';
import type { KeptModel } from '../platform/opfs.ts';
import type {
  Answer,
  ChessboardCall,
  ChessboardResult,
  ChessboardState,
  LoadState,
  ModelDescription,
} from './protocol.ts';

export type { LoadState } from './protocol.ts';

export interface WorkerLoadOptions {
  /** `bf16` (the default) or `f32`: how activations are kept between operations. */
  precision?: Activations;
  /** How image tokens meet PLoRA, as in `LoadOptions`. */
  plora?: PLoRA;
  /** Whether what is loaded from an address is kept in this browser; it is unless this is false. */
  keep?: boolean;
  /** Laid over the checkpoint, as by `usePatch`. */
  patch?: PatchInput;
  /** Whether a GPU that loads a model for the first time measures its kernels for a few seconds; it does unless this is false. */
  tune?: boolean;
  onProgress?: (state: LoadState) => void;
  signal?: AbortSignal;
}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  event?: (value: unknown) => void;
}

/**
 * Starts mmar in a worker.
 * @param worker the package's worker, where a bundler names it otherwise: `new Worker(new URL('mmar/worker', import.meta.url), { type: 'module' })`
 */
export function connectWorker(
  worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
): WorkerEngine {
  return new WorkerEngine(worker);
}

/** mmar in a worker: one device, models on it. Made by `connectWorker`. */
export class WorkerEngine {
  /** Called with what a user may want to know: a model that is not kept, say. */
  onNotice: (message: string) => void = () => {};
  /** Called when the device was lost, whether or not something ran: open it and load the model again. */
  onLost: (message: string) => void = () => {};
  private readonly models = new Set<WorkerMMAR>();
  private readonly pending = new Map<number, Pending>();
  private calls = 0;
  private broken: MMARError | undefined;

  constructor(private readonly worker: Worker) {
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => this.hear(data));
    worker.addEventListener('error', (event) =>
      this.breakDown(`the worker stopped: ${event.message || 'it could not be loaded'}; reload the page`),
    );
  }

  /** Opens a device, in place of one that is open; `adapter` errors say why there is none. */
  openDevice(options: DeviceOptions = {}): Promise<AdapterDescription> {
    return this.call('openDevice', [options]);
  }

  /**
   * Loads a checkpoint from an address, from the Hub (`owner/name`), or from files by their names in its folder; opens a
   * device where none is open.
   */
  async loadMMAR(
    from: string | URL | Map<string, Blob>,
    { precision, plora, keep = true, patch, tune, onProgress, signal }: WorkerLoadOptions = {},
  ): Promise<WorkerMMAR> {
    const where = from instanceof Map ? from : addressOf(String(from));
    const description = await this.call<ModelDescription>(
      'load',
      [where, { precision, plora, keep, patch: patch === undefined ? undefined : sent(patch), tune }],
      signal,
      onProgress as (value: unknown) => void,
    );
    const model = new WorkerMMAR(this, description, () => this.models.delete(model));
    this.models.add(model);
    return model;
  }

  /** Ends the measuring of kernels that a load waits for; what was measured stays. */
  skipTuning(): Promise<void> {
    return this.call('skipTuning', []);
  }

  /** Runs the chessboard of `numerics/` on the open device. */
  chessboard(
    call: ChessboardCall,
    onState: (state: ChessboardState) => void,
    signal?: AbortSignal,
  ): Promise<ChessboardResult> {
    return this.call('chessboard', [call], signal, onState as (value: unknown) => void);
  }

  /** The models that this browser keeps for this origin. */
  kept(): Promise<KeptModel[]> {
    return this.call('kept', []);
  }

  deleteKept(url: string): Promise<void> {
    return this.call('deleteKept', [url]);
  }

  /** Loses the device as a driver would, to see what happens then. */
  loseDevice(): Promise<void> {
    return this.call('loseDevice', []);
  }

  /** Ends the worker and all that runs in it. */
  terminate(): void {
    this.worker.terminate();
    this.breakDown('the worker was ended: connect anew');
  }

  /** Calls a method of the worker. */
  call<T>(method: string, args: unknown[], signal?: AbortSignal, event?: (value: unknown) => void): Promise<T> {
    const id = ++this.calls;
    return this.send<T>(id, method, args, signal, event);
  }

  /** Calls a method whose result is a stream; leaving the loop early ends it. Returns what the stream returns. */
  async *stream<T, R>(
    method: string,
    args: unknown[],
    signal: AbortSignal | undefined,
    step: (value: T) => T = (value) => value,
  ): AsyncGenerator<T, R> {
    checkCancelled(signal);
    const id = ++this.calls;
    const abort = () => this.worker.postMessage({ abort: id });
    signal?.addEventListener('abort', abort); // from the first round trip on
    try {
      await this.send(id, method, args);
      for (;;) {
        const { done, value } = await this.call<{ done: boolean; value: unknown }>('next', [id]);
        if (done) return value as R;
        yield step(value as T);
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      if (!this.broken) await this.call('finish', [id]);
    }
  }

  private send<T>(
    id: number,
    method: string,
    args: unknown[],
    signal?: AbortSignal,
    event?: (value: unknown) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.broken) return reject(this.broken);
      checkCancelled(signal);
      const abort = () => this.worker.postMessage({ abort: id });
      const settled =
        <V>(then: (value: V) => void) =>
        (value: V) => {
          signal?.removeEventListener('abort', abort);
          then(value);
        };
      signal?.addEventListener('abort', abort);
      this.pending.set(id, { resolve: settled(resolve as (value: unknown) => void), reject: settled(reject), event });
      this.worker.postMessage({ id, method, args });
    });
  }

  private hear(answer: Answer): void {
    if ('notice' in answer) this.onNotice(answer.notice);
    else if ('lost' in answer) this.lose(answer.lost);
    else if ('event' in answer) this.pending.get(answer.id)?.event?.(answer.event);
    else this.settle(answer);
  }

  private settle(answer: Extract<Answer, { value: unknown } | { error: unknown }>): void {
    const call = this.pending.get(answer.id);
    this.pending.delete(answer.id);
    if ('value' in answer) return void call?.resolve(answer.value);
    const { code, message } = answer.error;
    call?.reject(code ? new MMARError(code, message) : new Error(message));
  }

  private lose(message: string): void {
    for (const model of this.models) model.onLost(message);
    this.models.clear(); // they were on it
    this.onLost(message);
  }

  private breakDown(message: string): void {
    this.broken ??= new MMARError('device', message);
    for (const call of this.pending.values()) call.reject(this.broken);
    this.pending.clear();
  }
}

/** An address as the page means it, not the worker; `owner/name` may be a model of the Hub. */
const addressOf = (place: string): string =>
  /^[\w.-]+\/[\w.-]+$/.test(place) ? place : new URL(place, globalThis.location?.href).href;

/** What is given as a place or as itself, as it can be sent. */
const sent = <T>(given: T): T | string =>
  typeof given === 'string' || given instanceof URL ? new URL(given, globalThis.location?.href).href : given;

const withSent = (options: TeachOptions): TeachOptions => ({
  ...options,
  examples: options.examples?.map((example) => ({ ...example, image: sent(example.image) })),
});

/** A model in the worker. */
export class WorkerMMAR implements Model {
  readonly config: ModelDescription['config'];
  readonly defaults: ModelDescription['defaults'];
  readonly settingsTable: ModelDescription['settingsTable'];
  onLost: (message: string) => void = () => {};
  private readonly id: number;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly engine: WorkerEngine,
    { model, config, defaults, settingsTable }: ModelDescription,
    private readonly closed: () => void,
  ) {
    this.id = model;
    this.config = config;
    this.defaults = defaults;
    this.settingsTable = settingsTable;
  }

  generate(options: BatchOptions): Promise<Drawn[]>;
  generate(options?: GenerateOptions): Promise<Drawn>;
  async generate({ signal, ...options }: GenerateOptions | BatchOptions = {}): Promise<Drawn | Drawn[]> {
    return this.engine.call('generate', [this.id, options], signal);
  }

  /** A step's pictures can be asked for as long as not many others came behind it. */
  generateStream({ signal, ...options }: GenerateOptions | BatchOptions = {}): AsyncGenerator<GenerateStep, Drawn[]> {
    const withFunctions = (picture: StepPicture, step: number, i: number): StepPicture => ({
      ...picture,
      preview: (signal) => this.engine.call('preview', [step, i], signal),
      tokens: () => this.engine.call('tokens', [step, i]),
      codes: () => this.engine.call('codes', [step, i]),
    });
    return this.engine.stream<GenerateStep, Drawn[]>('generateStream', [this.id, options], signal, (value) => {
      const { step, ...rest } = value as GenerateStep & { step: number };
      const pictures = rest.pictures.map((picture, i) => withFunctions(picture, step, i));
      return { ...rest, ...pictures[0], pictures };
    });
  }

  async describe({ signal, image, ...options }: DescribeOptions): Promise<Answered> {
    return this.engine.call('describe', [this.id, { ...options, image: sent(image) }], signal);
  }

  describeStream({ signal, image, ...options }: DescribeOptions): AsyncGenerator<Piece, Answered> {
    return this.engine.stream('describeStream', [this.id, { ...options, image: sent(image) }], signal);
  }

  async chat({ signal, ...options }: ChatOptions): Promise<Answered> {
    return this.engine.call('chat', [this.id, options], signal);
  }

  chatStream({ signal, ...options }: ChatOptions): AsyncGenerator<Piece, Answered> {
    return this.engine.stream('chatStream', [this.id, options], signal);
  }

  encode({ image, signal }: EncodeOptions): Promise<EncodedImage> {
    return this.engine.call('encode', [this.id, { image: sent(image) }], signal);
  }

  decode({ tokens, signal }: DecodeOptions): Promise<{ picture: Picture }> {
    return this.engine.call('decode', [this.id, { tokens }], signal);
  }

  teach({ signal, ...options }: TeachOptions): Promise<Taught> {
    return this.engine.call('teach', [this.id, withSent(options)], signal);
  }

  teachStream({ signal, ...options }: TeachOptions): AsyncGenerator<TeachStep, Taught> {
    return this.engine.stream('teachStream', [this.id, withSent(options)], signal);
  }

  usePatch(patch: PatchInput, signal?: AbortSignal): Promise<void> {
    return this.engine.call('usePatch', [this.id, sent(patch)], signal);
  }

  savePatch(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.engine.call('savePatch', [this.id]);
  }

  forget(): Promise<void> {
    return this.engine.call('forget', [this.id]);
  }

  trace(part: string, inputs: TraceTensors, settings: Record<string, string> = {}): Promise<TraceTensors> {
    return this.engine.call('trace', [this.id, part, inputs, settings]);
  }

  memory(): Promise<ModelMemory> {
    return this.engine.call('memory', [this.id]);
  }

  setProfile(on: boolean): Promise<Record<string, number>> {
    return this.engine.call('setProfile', [this.id, on]);
  }

  close(): Promise<void> {
    this.closed();
    this.closing ??= this.engine.call('close', [this.id]);
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
