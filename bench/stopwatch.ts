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
  private queries: GPUQuerySet | undefined;
  private resolved: GPUBuffer | undefined;
  private staging: GPUBuffer | undefined;

  private constructor(
    readonly device: Device,
    readonly clock: Clock,
  ) {}

  static async open(device: Device): Promise<Stopwatch> {
    const watch = new Stopwatch(device, { kind: 'timestamps', grid_ns: 0, sample_ms: 0 });
    const { kind, grid_ns } = device.gpu.features.has('timestamp-query')
      ? await watch.timestampGrid()
      : await watch.answerGrid();
    const least = kind === 'timestamps' && grid_ns < 10_000 ? 5 : 20;
    Object.assign(watch.clock, { kind, grid_ns, sample_ms: Math.max(least, (grid_ns / 1e6) * 10) });
    return watch;
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
    const { gpu } = this.device;
    this.queries ??= gpu.createQuerySet({ type: 'timestamp', count: 2 });
    this.resolved ??= gpu.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    this.staging ??= gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = gpu.createCommandEncoder({ label: 'bench' });
    const timestampWrites = { querySet: this.queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    encode(encoder.beginComputePass({ timestampWrites }), programs, runs);
    encoder.resolveQuerySet(this.queries, 0, 2, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, this.staging, 0, 16);
    gpu.queue.submit([encoder.finish()]);
    await this.staging.mapAsync(GPUMapMode.READ);
    const [start, end] = new BigUint64Array(this.staging.getMappedRange());
    this.staging.unmap();
    return Number(end - start) / 1e6;
  }

  private async byClock(programs: readonly Program[], runs: number): Promise<number> {
    const { gpu } = this.device,
      encoder = gpu.createCommandEncoder({ label: 'bench' });
    encode(encoder.beginComputePass(), programs, runs);
    const commands = encoder.finish(),
      start = performance.now();
    gpu.queue.submit([commands]);
    await gpu.queue.onSubmittedWorkDone();
    return performance.now() - start;
  }

  /** The largest power of two that divides all of some passes' timestamps; the clock, where they stand still. */
  private async timestampGrid(): Promise<{ kind: Clock['kind']; grid_ns: number }> {
    const { gpu } = this.device,
      count = 16,
      queries = gpu.createQuerySet({ type: 'timestamp', count });
    const resolved = gpu.createBuffer({
      size: 8 * count,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const staging = gpu.createBuffer({ size: 8 * count, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = gpu.createCommandEncoder({ label: 'timestamps' });
    for (let i = 0; i < count; i += 2) {
      const timestampWrites = { querySet: queries, beginningOfPassWriteIndex: i, endOfPassWriteIndex: i + 1 };
      encoder.beginComputePass({ timestampWrites }).end();
    }
    encoder.resolveQuerySet(queries, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const times = [...new BigUint64Array(staging.getMappedRange())];
    queries.destroy();
    resolved.destroy();
    staging.destroy();
    if (times.every((t) => t === 0n)) return this.answerGrid();
    let grid = 1n;
    while (grid < 1n << 20n && times.every((t) => t % (grid * 2n) === 0n)) grid *= 2n;
    return { kind: 'timestamps', grid_ns: Number(grid) };
  }

  /** How long the queue takes to tell that it has nothing to do: Firefox looks every 100 ms. */
  private async answerGrid(): Promise<{ kind: Clock['kind']; grid_ns: number }> {
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      const start = performance.now();
      this.device.gpu.queue.submit([this.device.gpu.createCommandEncoder().finish()]);
      await this.device.gpu.queue.onSubmittedWorkDone();
      waits.push(performance.now() - start);
    }
    return { kind: 'clock', grid_ns: Math.round(1e6 * Math.max(0.1, Math.min(...waits.slice(1)))) };
  }

  destroy(): void {
    this.queries?.destroy();
    this.resolved?.destroy();
    this.staging?.destroy();
  }
}

function encode(pass: GPUComputePassEncoder, programs: readonly Program[], runs: number): void {
  for (let i = 0; i < runs; i++) {
    for (const { pipeline, bindGroup, workgroups } of programs[i % programs.length].steps) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
  }
  pass.end();
}
