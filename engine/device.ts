import { MMARError } from '../base/error.ts';
import { type AdapterDescription, coresOf, describeAdapter, wantedFeatures } from './adapter.ts';
import { Memory } from './memory.ts';
import { Pipelines } from './pipeline.ts';
import { Program, Recorder } from './program.ts';
import { answerTime, Queue } from './queue.ts';
import { type ElementType, Tensor, unpackRows } from './tensor.ts';
import { copy, join, readRows, write } from './transfers.ts';
import { Tuning } from './tuning.ts';

/** A GPU device with all that lives on it: memory, tensors, pipelines, recorded programs; `queue` runs these. */
export class Device {
  readonly memory: Memory;
  readonly pipelines: Pipelines;
  readonly queue: Queue;
  /** Which of a kernel's candidates to run. */
  tuning = new Tuning();
  readonly limits: GPUSupportedLimits;
  /** The largest buffer that can be made and bound as a whole, in bytes. */
  readonly maxBinding: number;
  /** Most floating-point operations of one dispatch. */
  flopAtOnce: number;
  /** Of the processor, which do the work of a software adapter. */
  readonly cores: number;
  /** Threads of a subgroup where the device has subgroups, all of one size; else 0. */
  readonly subgroupSize: number;
  private failure: MMARError | undefined;
  private destroyed = false;

  /** Use `open`, or `dryDevice`. */
  constructor(
    readonly gpu: GPUDevice,
    readonly adapter: AdapterDescription,
    {
      maxBinding = Infinity,
      answer,
      cores = 1,
      pipelines = new Pipelines(gpu),
    }: { maxBinding?: number; answer?: number; cores?: number; pipelines?: Pipelines } = {},
  ) {
    this.memory = new Memory(gpu);
    this.pipelines = pipelines;
    this.queue = new Queue(gpu, () => this.check(), { slice: this.software ? 0.1 : 0.02, answer });
    this.flopAtOnce = flopAtOnce(adapter);
    this.limits = gpu.limits;
    this.cores = cores;
    this.subgroupSize = subgroupSizeOf(gpu);
    this.maxBinding = Math.min(maxBinding, gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
    gpu.addEventListener('uncapturederror', ({ error }) => {
      this.failure ??= new MMARError('device', `GPU: ${this.explain(error)}`);
    });
    gpu.lost.then(({ reason, message }) => {
      if (this.destroyed) return;
      this.failure = new MMARError(
        'device',
        `the GPU device was lost (${reason || 'unknown'}): ${message.split('\n')[0]}; load the model again`,
      );
    });
  }

  /**
   * Opens a device with every limit and feature of the adapter that helps.
   * @param maxBinding lowers the size at which tensors are split over buffers, for tests
   * @param kind chooses the kernels of that kind of adapter, for tests
   */
  static async open(
    adapter: GPUAdapter,
    { maxBinding = Infinity, kind }: { maxBinding?: number; kind?: AdapterDescription['kind'] } = {},
  ): Promise<Device> {
    const description = describeAdapter(adapter);
    description.kind = kind ?? description.kind;
    try {
      const gpu = await adapter.requestDevice({
        label: 'mmar',
        requiredFeatures: wantedFeatures.filter((f) => adapter.features.has(f)) as GPUFeatureName[],
        requiredLimits: description.limits,
      });
      return new Device(gpu, description, {
        maxBinding,
        answer: await answerTime(gpu, 0.05),
        cores: coresOf(adapter),
      });
    } catch (cause) {
      throw new MMARError(
        'adapter',
        `adapter ${description.device || description.vendor} gives no device: ${(cause as Error).message.split('\n')[0]}`,
        { cause },
      );
    }
  }

  get software(): boolean {
    return this.adapter.kind === 'software';
  }

  /** Throws what went wrong on the device: it was closed or lost, or something was used wrongly. */
  check(): void {
    if (this.destroyed) throw new MMARError('device', 'the device was closed; open it again');
    if (this.failure) throw this.failure;
  }

  private explain(error: GPUError): string {
    const line = error.message.split('\n').find((l) => l.trim()) ?? 'unknown error';
    return error.constructor.name === 'GPUOutOfMemoryError'
      ? `out of device memory (${this.memory.held} bytes held); use a smaller model or another adapter: ${line}`
      : line;
  }

  /** A lasting tensor, filled with zeros. */
  tensor(name: string, type: ElementType, shape: readonly number[]): Tensor {
    this.check();
    const tensor = new Tensor(name, type, shape, this.maxBinding);
    for (const piece of tensor.pieces)
      piece.buffer = this.memory.create(Math.max(1, piece.rows) * tensor.rowBytes, name);
    return tensor;
  }

  /** Frees a lasting tensor; what was recorded before still finds it. */
  release(tensor: Tensor): void {
    this.queue.submit();
    for (const piece of tensor.pieces) {
      if (piece.buffer) this.memory.destroy(piece.buffer);
      piece.buffer = undefined;
    }
  }

  /**
   * Records a program; compiles what it needs that no other program needed before. Where that fails nothing of it stays,
   * and the device goes on.
   */
  async record(name: string, record: (p: Recorder) => void): Promise<Program> {
    this.check();
    try {
      return await this.plan(name, record);
    } catch (error) {
      if (!this.tuning.size) throw error;
      this.tuning.clear(); // what was the best once may not compile any more
      return this.plan(name, record);
    }
  }

  private async plan(name: string, record: (p: Recorder) => void): Promise<Program> {
    const recorder = new Recorder(this, name);
    try {
      record(recorder);
      return await this.scoped(name, () => Program.plan(recorder));
    } catch (error) {
      recorder.discard();
      throw error;
    }
  }

  /** Runs the synchronous part of `work` so that what it does wrong on the device is thrown here, and nowhere else. */
  private async scoped<T>(name: string, work: () => Promise<T>): Promise<T> {
    const filters = ['out-of-memory', 'validation'] as const;
    for (const filter of filters) this.gpu.pushErrorScope(filter);
    const working = work();
    const errors = filters.map(() => this.gpu.popErrorScope().catch(() => null)); // of a lost device `check` tells
    const [result, ...found] = await Promise.all([working, ...errors]);
    const error = found.find((e) => e !== null);
    this.check();
    if (error) throw new MMARError('device', `${name}: ${this.explain(error)}`);
    return result;
  }

  /** Writes whole rows (as `packRows` lays them out) in the order of the queue; what was recorded before runs before. */
  write(tensor: Tensor, rows: Uint8Array<ArrayBuffer>, firstRow = 0): void {
    write(this, tensor, rows, firstRow);
  }

  /** Copies a tensor into another of its shape and type, in the order of the queue. */
  copy(from: Tensor, to: Tensor): void {
    copy(this, from, to);
  }

  /** Lays tensors one behind another over all of `to`, byte for byte, in the order of the queue. */
  join(from: readonly Tensor[], to: Tensor): void {
    join(this, from, to);
  }

  /** The values of a tensor without their padding, [rows × cols]. Sends what was recorded first. */
  async read(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
    return unpackRows(tensor.type, tensor.rows, tensor.cols, await readRows(this, tensor));
  }

  /** The rows of a tensor as they lie in memory (see `packRows`). Sends what was recorded first. */
  readRows(tensor: Tensor): Promise<ArrayBuffer> {
    return readRows(this, tensor);
  }

  /** Records and runs a program once and reads the tensors that it returns. */
  async evaluate<K extends string>(
    name: string,
    record: (p: Recorder) => Record<K, Tensor>,
    signal?: AbortSignal,
  ): Promise<Record<K, Float32Array<ArrayBuffer>>> {
    let results = {} as Record<K, Tensor>;
    const kept: Tensor[] = [];
    const program = await this.record(name, (p) => {
      results = record(p);
      for (const tensor of Object.values<Tensor>(results)) if (p.isScratch(tensor)) kept.push(p.keep(tensor));
    });
    try {
      await this.queue.run(program, signal);
      await this.queue.idle(signal);
      const values = {} as Record<K, Float32Array<ArrayBuffer>>;
      for (const [key, tensor] of Object.entries(results) as [K, Tensor][]) values[key] = await this.read(tensor);
      return values;
    } finally {
      program.destroy();
      for (const tensor of kept) this.release(tensor);
    }
  }

  destroy(): void {
    this.destroyed = true;
    this.gpu.destroy();
  }
}

function subgroupSizeOf({ adapterInfo, features }: GPUDevice): number {
  const { subgroupMinSize: least, subgroupMaxSize: most } = adapterInfo;
  return features.has('subgroups') && least === most ? least : 0;
}

/**
 * On a screen's GPU a dispatch must not keep the screen waiting, or a watchdog ends it: a small one takes a tenth of a second
 * for this many operations, and a large one has no work for all its cores in fewer. Software shares its cores with all.
 */
function flopAtOnce({ kind, vendor }: AdapterDescription): number {
  if (kind === 'software') return Infinity;
  return /nvidia|amd|ati|apple/i.test(vendor) ? 16e9 : 4e9;
}
