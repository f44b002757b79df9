import { checkCancelled } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Program } from '../engine/program.ts';

/** How exactly a device's time can be told. */
export interface Clock {
  /** The device's own timestamps, or the host's clock. */
  kind: 'timestamps' | 'clock';
  /** The step of that clock, in ns: 65,536 where timestamps are coarsened, some 10^8 where a browser answers at intervals. */
  grid_ns: number;
  /** A sample takes at least so many ms, for the grid to be a few thousandths of it. */
  sample_ms: number;
}

/** Times dispatches on a device: by timestamps around one compute pass, or by the clock until the queue is empty. */
export class Stopwatch {
  private timestamps: Timestamps | undefined;

  private constructor(
    readonly device: Device,
    readonly clock: Clock,
  ) {}

  static async open(device: Device): Promise<Stopwatch> {
    const { kind, grid_ns } = (await timestampGrid(device)) ?? (await answerGrid(device)),
      least = kind === 'timestamps' && grid_ns < 10_000 ? 5 : 20;
    return new Stopwatch(device, { kind, grid_ns, sample_ms: Math.max(least, (grid_ns / 1e6) * 10) });
  }

  /** Milliseconds of one run, where `runs` runs follow one another, the programs in turn. */
  async time(programs: readonly Program[], runs: number, signal?: AbortSignal): Promise<number> {
    checkCancelled(signal);
    const total =
      this.clock.kind === 'timestamps' ? await this.byTimestamps(programs, runs) : await this.byClock(programs, runs);
    this.device.check();
    checkCancelled(signal);
    return total / runs;
  }

  private async byTimestamps(programs: readonly Program[], runs: number): Promise<number> {
    this.timestamps ??= new Timestamps(this.device, 1);
    const [start, end] = await this.timestamps.around((pass) => encode(pass, programs, runs));
    return Number(end - start) / 1e6;
  }

  private async byClock(programs: readonly Program[], runs: number): Promise<number> {
    const { gpu } = this.device,
      encoder = gpu.createCommandEncoder({ label: 'bench' }),
      pass = encoder.beginComputePass();
    encode(pass, programs, runs);
    pass.end();
    const commands = encoder.finish(),
      start = performance.now();
    gpu.queue.submit([commands]);
    await gpu.queue.onSubmittedWorkDone();
    return performance.now() - start;
  }

  destroy(): void {
    this.timestamps?.destroy();
  }
}

/** The device's timestamps of when passes begin and end. */
class Timestamps {
  private readonly gpu: GPUDevice;
  private readonly queries: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private readonly staging: GPUBuffer;

  constructor(
    { gpu }: Device,
    private readonly passes: number,
  ) {
    const count = 2 * passes,
      size = 8 * count;
    this.gpu = gpu;
    this.queries = gpu.createQuerySet({ type: 'timestamp', count });
    this.resolved = gpu.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    this.staging = gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  }

  /** The beginning and the end of each pass, in ns. */
  async around(fill: (pass: GPUComputePassEncoder) => void): Promise<bigint[]> {
    const { gpu, passes, queries: querySet, resolved, staging } = this,
      encoder = gpu.createCommandEncoder({ label: 'bench' });
    for (let i = 0; i < 2 * passes; i += 2) {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: i, endOfPassWriteIndex: i + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      fill(pass);
      pass.end();
    }
    encoder.resolveQuerySet(querySet, 0, 2 * passes, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, staging.size);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const times = [...new BigUint64Array(staging.getMappedRange())];
    staging.unmap();
    return times;
  }

  destroy(): void {
    this.queries.destroy();
    this.resolved.destroy();
    this.staging.destroy();
  }
}

type Grid = Pick<Clock, 'kind' | 'grid_ns'>;

/** The largest power of two that divides all of some passes' timestamps; none where there are no such or they stand still. */
async function timestampGrid(device: Device): Promise<Grid | undefined> {
  if (!device.gpu.features.has('timestamp-query')) return undefined;
  const timestamps = new Timestamps(device, 8),
    times = await timestamps.around(() => {});
  timestamps.destroy();
  if (times.every((t) => t === 0n)) return undefined;
  let grid = 1n;
  while (grid < 1n << 20n && times.every((t) => t % (grid * 2n) === 0n)) grid *= 2n;
  return { kind: 'timestamps', grid_ns: Number(grid) };
}

/** How long the queue takes to tell that it has nothing to do: Firefox looks every 100 ms. */
async function answerGrid({ gpu }: Device): Promise<Grid> {
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    gpu.queue.submit([gpu.createCommandEncoder().finish()]);
    await gpu.queue.onSubmittedWorkDone();
    waits.push(performance.now() - start);
  }
  return { kind: 'clock', grid_ns: Math.round(1e6 * Math.max(0.1, Math.min(...waits.slice(1)))) };
}

function encode(pass: GPUComputePassEncoder, programs: readonly Program[], runs: number): void {
  for (let i = 0; i < runs; i++) {
    for (const { pipeline, bindGroup, workgroups } of programs[i % programs.length].steps) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
  }
}
