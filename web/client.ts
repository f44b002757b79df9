/** The page's side of the worker: the API of `MMAR`, its work done elsewhere. */

import { checkCancelled, MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import type { AdapterDescription } from '../engine/adapter.ts';
import type { DescribeOptions, GenerateOptions, GenerateStep, ModelMemory, Piece } from '../model/mmar.ts';
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
  /** Whether what is loaded from an address is kept in this browser; it is unless this is false. */
  keep?: boolean;
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

  /** Loads a checkpoint from an address or from files by their names in its folder. */
  async loadMMAR(
    from: string | Map<string, Blob>,
    { precision, keep = true, onProgress, signal }: WorkerLoadOptions = {},
  ): Promise<WorkerMMAR> {
    const where = typeof from === 'string' ? new URL(from, globalThis.location?.href).href : from; // as the page means it, not the worker
    return new WorkerMMAR(
      this,
      await this.call<ModelDescription>(
        'load',
        [where, { precision, keep }],
        signal,
        onProgress as (value: unknown) => void,
      ),
    );
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

  /** Calls a method whose result is a stream; leaving the loop early ends it. */
  async *stream<T>(
    method: string,
    args: unknown[],
    signal: AbortSignal | undefined,
    step: (value: T, stream: number) => T,
  ): AsyncGenerator<T> {
    checkCancelled(signal);
    const id = ++this.calls,
      abort = () => this.worker.postMessage({ abort: id });
    await this.send(id, method, args);
    signal?.addEventListener('abort', abort);
    try {
      for (;;) {
        const { done, value } = await this.call<{ done: boolean; value: T }>('next', [id]);
        if (done) return;
        yield step(value, id);
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
    else if ('lost' in answer) this.onLost(answer.lost);
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

  private breakDown(message: string): void {
    this.broken ??= new MMARError('device', message);
    for (const call of this.pending.values()) call.reject(this.broken);
    this.pending.clear();
  }
}

/** A model in the worker: `MMAR`, with promises where that has plain values. */
export class WorkerMMAR {
  readonly config: ModelDescription['config'];
  readonly defaults: ModelDescription['defaults'];
  private readonly id: number;

  constructor(
    private readonly engine: WorkerEngine,
    { model, config, defaults }: ModelDescription,
  ) {
    this.id = model;
    this.config = config;
    this.defaults = defaults;
  }

  /** Draws a picture; see `MMAR.generate`. A step's `preview` and `tokens` work until the next step is asked for. */
  generate({ signal, ...options }: GenerateOptions = {}): AsyncGenerator<GenerateStep> {
    return this.engine.stream<GenerateStep>('generate', [this.id, options], signal, (step, stream) => ({
      ...step,
      preview: (signal) => this.engine.call('preview', [stream], signal),
      tokens: () => this.engine.call('tokens', [stream]),
    }));
  }

  /** Reads a picture; see `MMAR.describe`. */
  describe({ signal, ...options }: DescribeOptions): AsyncGenerator<Piece> {
    return this.engine.stream<Piece>('describe', [this.id, options], signal, (piece) => piece);
  }

  /** A picture's tokens, f32 [L, d]. */
  encode(picture: Picture, signal?: AbortSignal): Promise<Float32Array<ArrayBuffer>> {
    return this.engine.call('encode', [this.id, picture], signal);
  }

  /** The picture of tokens, f32 [L, d]. */
  decode(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Picture> {
    return this.engine.call('decode', [this.id, tokens], signal);
  }

  /** Runs one part of the graph; see `trace`. */
  trace(part: string, inputs: TraceTensors, settings: Record<string, string> = {}): Promise<TraceTensors> {
    return this.engine.call('trace', [this.id, part, inputs, settings]);
  }

  memory(): Promise<ModelMemory> {
    return this.engine.call('memory', [this.id]);
  }

  /** Measures the device's time a part from now on, or stops; gives the seconds measured since the last call. */
  setProfile(on: boolean): Promise<Record<string, number>> {
    return this.engine.call('setProfile', [this.id, on]);
  }

  close(): Promise<void> {
    return this.engine.call('close', [this.id]);
  }
}
