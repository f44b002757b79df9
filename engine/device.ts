import { checkCancelled, MMARError } from '../base/error.ts';
import { Memory } from './memory.ts';
import { Pipelines } from './pipeline.ts';
import type { Profile } from './profile.ts';
import { Program, Recorder } from './program.ts';
import { type ElementType, Tensor, unpackRows } from './tensor.ts';
import { Tuning } from './tuning.ts';

/** What is known of an adapter: its own words, and what they mean for us. */
export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  driver: string;
  kind: 'hardware' | 'software';
  features: string[];
  limits: Record<string, number>;
}

const wantedFeatures = ['shader-f16', 'subgroups', 'subgroup-size-control', 'timestamp-query'] as const;
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupsPerDimension',
] as const;

export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  const software =
    adapter.info.isFallbackAdapter ||
    /swiftshader|llvmpipe|lavapipe|software|basic render/i.test([architecture, device, description].join(' '));
  return {
    vendor,
    architecture,
    device,
    driver: description,
    kind: software ? 'software' : 'hardware',
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name] as number])),
  };
}

/** Most dispatches in one submission: enough to hide its cost. */
const dispatchesPerSubmit = 512;
/** Seconds of work between two looks at whether to go on. */
const secondsAtOnce = 0.1;

/** Dispatches of a program that take about as long, by those timed so far; a few at first. */
const dispatchesAtOnce = ({ timed: { dispatches, seconds } }: Program): number =>
  dispatches ? Math.max(1, (dispatches * secondsAtOnce) / seconds) : 8;

/** A GPU device with all that runs on it: memory, pipelines, recorded programs, one queue. */
export class Device {
  readonly memory: Memory;
  readonly pipelines: Pipelines;
  /** Which of a kernel's candidates to run. */
  tuning = new Tuning();
  readonly limits: GPUSupportedLimits;
  /** The largest buffer that can be made and bound as a whole, in bytes. */
  readonly maxBinding: number;
  /** Set to a `Profile` to have the time of each part measured. */
  profile: Profile | undefined;
  private failure: MMARError | undefined;
  private destroyed = false;
  private encoder: GPUCommandEncoder | undefined;
  private pass: GPUComputePassEncoder | undefined;
  private passPart = '';
  /** Dispatches in the encoder, and since `send`. */
  private recorded = 0;
  private unpaced = 0;
  /** Whether it can be asked within a program how far it is: Firefox answers every 100 ms only. */
  private prompt = false;
  private inFlight: Promise<void> | undefined;
  /** When the last submission was done. */
  private done = 0;
  private running: Promise<void> = Promise.resolve();

  /** Use `open`, or `dryDevice`. */
  constructor(
    readonly gpu: GPUDevice,
    readonly adapter: AdapterDescription,
    maxBinding: number,
  ) {
    this.memory = new Memory(gpu);
    this.pipelines = new Pipelines(gpu);
    this.limits = gpu.limits;
    this.maxBinding = Math.min(maxBinding, gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
    gpu.addEventListener('uncapturederror', ({ error }) => {
      const line = error.message.split('\n').find((l) => l.trim()) ?? 'unknown error';
      const what =
        error.constructor.name === 'GPUOutOfMemoryError'
          ? `out of device memory (${this.memory.held} bytes held); use a smaller model or another adapter: `
          : '';
      this.failure ??= new MMARError('device', `GPU: ${what}${line}`);
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
      const device = new Device(gpu, description, maxBinding);
      device.prompt = await answersWithin(0.05, gpu);
      return device;
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

  /** Threads of a subgroup where the device has subgroups, all of one size; else 0. */
  get subgroupSize(): number {
    const { subgroupMinSize: least, subgroupMaxSize: most } = this.gpu.adapterInfo;
    return this.gpu.features.has('subgroups') && least === most ? least : 0;
  }

  /** Throws what went wrong on the device since the last look. */
  check(): void {
    if (this.destroyed) throw new MMARError('device', 'the device was closed; open it again');
    if (this.failure) throw this.failure;
  }

  /** A lasting tensor, filled with zeros. */
  tensor(name: string, type: ElementType, shape: readonly number[]): Tensor {
    this.check();
    const tensor = new Tensor(name, type, shape, this.maxBinding);
    for (const piece of tensor.pieces)
      piece.buffer = this.memory.create(Math.max(1, piece.rows) * tensor.rowBytes, name);
    return tensor;
  }

  release(tensor: Tensor): void {
    for (const piece of tensor.pieces) {
      if (piece.buffer) this.memory.destroy(piece.buffer);
      piece.buffer = undefined;
    }
  }

  /** Writes whole rows (as `packRows` lays them out) in the order of the queue; what was recorded before runs before. */
  write(tensor: Tensor, rows: Uint8Array<ArrayBuffer>, firstRow = 0): void {
    this.submit();
    const endRow = firstRow + rows.byteLength / tensor.rowBytes;
    for (const { firstRow: start, rows: count, buffer } of tensor.pieces) {
      const from = Math.max(firstRow, start),
        to = Math.min(endRow, start + count);
      if (from >= to) continue;
      const source = rows.subarray((from - firstRow) * tensor.rowBytes, (to - firstRow) * tensor.rowBytes);
      this.gpu.queue.writeBuffer(buffer!, (from - start) * tensor.rowBytes, source);
    }
  }

  /** Records a program; compiles what it needs that no other program needed before. */
  async record(name: string, record: (p: Recorder) => void): Promise<Program> {
    const plan = (): Promise<Program> => {
      const recorder = new Recorder(this, name);
      record(recorder);
      return Program.plan(recorder);
    };
    const program = await plan().catch((error: unknown) => {
      if (!this.tuning.size) throw error;
      this.tuning.clear(); // what was the best once may not compile any more
      return plan();
    });
    this.check();
    return program;
  }

  /**
   * Replays `program` behind all that runs already; its last dispatches wait for the next `submit`. Stays a tenth of a second
   * of work ahead of the device and no more, so that `signal` is heard soon, however long the program.
   */
  run(program: Program, signal?: AbortSignal): Promise<void> {
    // Programs share scratch memory: one runs after the other, also where two tasks take turns.
    const run = this.running.then(() => this.replay(program, signal));
    this.running = run.catch(() => {});
    return run;
  }

  private async replay(program: Program, signal?: AbortSignal): Promise<void> {
    let atOnce = dispatchesAtOnce(program);
    for (const step of program.steps) {
      if (this.prompt && this.unpaced >= atOnce) {
        await this.send(program, signal);
        atOnce = dispatchesAtOnce(program); // known better now
      }
      if (this.recorded >= dispatchesPerSubmit) this.submit();
      this.encoder ??= this.gpu.createCommandEncoder({ label: program.name });
      if (!this.pass || (this.profile && this.passPart !== step.part)) {
        this.pass?.end();
        this.passPart = step.part;
        this.pass = this.encoder.beginComputePass({
          label: step.part,
          timestampWrites: this.profile?.begin(step.part),
        });
      }
      this.pass.setPipeline(step.pipeline);
      this.pass.setBindGroup(0, step.bindGroup);
      this.pass.dispatchWorkgroups(...step.workgroups);
      this.recorded++;
      this.unpaced++;
    }
  }

  /** Sends what was recorded; returns at once. */
  submit(): void {
    if (!this.encoder) return;
    this.pass?.end();
    this.profile?.resolve(this.encoder);
    this.gpu.queue.submit([this.encoder.finish()]);
    this.profile?.submitted();
    this.encoder = this.pass = undefined;
    this.recorded = 0;
  }

  /** Sends what was recorded and waits until what the call before this one sent is done: keeps the device one step ahead. */
  pace(signal?: AbortSignal): Promise<void> {
    return this.send(undefined, signal);
  }

  /** @param program in whose middle this is */
  private async send(program?: Program, signal?: AbortSignal): Promise<void> {
    const before = this.inFlight,
      dispatches = this.unpaced;
    this.submit();
    this.unpaced = 0;
    this.inFlight = this.submittedWork().then((seconds) => {
      if (!program) return;
      program.timed.dispatches += dispatches;
      program.timed.seconds += seconds;
    });
    await before;
    await this.profile?.collect();
    this.check();
    checkCancelled(signal);
  }

  /** Waits for the queue; returns the seconds since it had nothing to do, or was done the last time. */
  private async submittedWork(): Promise<number> {
    const sent = performance.now();
    await this.gpu.queue.onSubmittedWorkDone().catch(() => {}); // why it was lost `check` tells
    const start = Math.max(sent, this.done);
    this.done = performance.now();
    return (this.done - start) / 1000;
  }

  /** Sends what was recorded and waits for all of it. */
  async idle(signal?: AbortSignal): Promise<void> {
    await this.pace(signal);
    await this.pace(signal);
  }

  /** Copies a tensor into another of its shape and type, in the order of the queue. */
  copy(from: Tensor, to: Tensor): void {
    this.submit();
    const encoder = this.gpu.createCommandEncoder({ label: `copy ${from.name}` });
    encoder.copyBufferToBuffer(from.buffer, 0, to.buffer, 0, from.bytes);
    this.gpu.queue.submit([encoder.finish()]);
  }

  /** The values of a tensor without their padding, [rows × cols]. Sends what was recorded first. */
  async read(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
    return unpackRows(tensor.type, tensor.rows, tensor.cols, await this.readRows(tensor));
  }

  /** The rows of a tensor as they lie in memory (see `packRows`). Sends what was recorded first. */
  async readRows(tensor: Tensor): Promise<ArrayBuffer> {
    this.submit();
    this.check();
    const staging = this.gpu.createBuffer({
      label: `read ${tensor.name}`,
      size: tensor.bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = this.gpu.createCommandEncoder({ label: staging.label });
    for (const { firstRow, rows, buffer } of tensor.pieces) {
      encoder.copyBufferToBuffer(buffer!, 0, staging, firstRow * tensor.rowBytes, rows * tensor.rowBytes);
    }
    this.gpu.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(GPUMapMode.READ);
      return staging.getMappedRange().slice(0);
    } catch (cause) {
      await Promise.resolve(); // the reason of a lost device arrives with the next task
      this.check();
      throw new MMARError('device', `reading ${tensor} failed: ${(cause as Error).message.split('\n')[0]}`, { cause });
    } finally {
      staging.destroy();
    }
  }

  /** Records and runs a program once and reads the tensors that it returns. */
  async evaluate<K extends string>(
    name: string,
    record: (p: Recorder) => Record<K, Tensor>,
    signal?: AbortSignal,
  ): Promise<Record<K, Float32Array<ArrayBuffer>>> {
    let results = {} as Record<K, Tensor>;
    const program = await this.record(name, (p) => {
      results = record(p);
      for (const tensor of Object.values<Tensor>(results)) p.keep(tensor);
    });
    try {
      await this.run(program, signal);
      await this.idle(signal);
      const values = {} as Record<K, Float32Array<ArrayBuffer>>;
      for (const [key, tensor] of Object.entries(results) as [K, Tensor][]) values[key] = await this.read(tensor);
      return values;
    } finally {
      program.destroy();
      for (const tensor of Object.values<Tensor>(results)) this.release(tensor);
    }
  }

  destroy(): void {
    this.destroyed = true;
    this.gpu.destroy();
  }
}

/** Whether the queue tells within so many seconds that it is done. */
async function answersWithin(seconds: number, gpu: GPUDevice): Promise<boolean> {
  const buffer = gpu.createBuffer({ label: 'question', size: 4, usage: GPUBufferUsage.COPY_DST });
  const ask = async (): Promise<number> => {
    const start = performance.now();
    gpu.queue.writeBuffer(buffer, 0, new Uint8Array(4));
    gpu.queue.submit([]);
    await gpu.queue.onSubmittedWorkDone();
    return (performance.now() - start) / 1000;
  };
  await ask(); // where answers come at intervals, the first may come early
  const took = await ask();
  buffer.destroy();
  return took < seconds;
}
