import { quantile, spread } from './measure.ts';
import { overheads } from './overheads.ts';
import { Probes } from './probes.ts';
import type { Stopwatch } from './stopwatch.ts';
import { transfers } from './transfers.ts';

/** What an adapter can do at most, by shaders that do that one thing; each key ends in its unit. */
export interface Limits {
  /** Multiply-adds in f32, two operations each. */
  fma_gflops: number;
  /** The same in f16, where the device has it. */
  fma_f16_gflops?: number;
  /** The same by subgroup matrices of f16 or f32, where the device has them. */
  fma_matrix_gflops?: number;
  /** Reading memory that no cache holds. */
  read_gbps: number;
  /** Copying it, bytes read and written together. */
  copy_gbps: number;
  /** Reading workgroup memory. */
  workgroup_gbps: number;
  /** A dispatch that does nothing and waits for the one before it. */
  dispatch_us: number;
  /** One more submission. */
  submit_us: number;
  /** From a submission until the host hears that it is done. */
  wait_us: number;
  upload_gbps: number;
  readback_gbps: number;
}

export interface LimitOptions {
  /** Once is enough. */
  quick?: boolean;
  signal?: AbortSignal;
  onProgress?: (what: string) => void;
}

/** How often all of it is measured: a neighbour that works for some seconds is no limit of the adapter's. */
const rounds = 3;

/**
 * Measures all limits of the device and keeps the best of each in `best`, what was found before it was cancelled as well.
 * Takes some seconds on a GPU, up to half a minute on a CPU.
 */
export async function measureLimits(watch: Stopwatch, best: Best, options: LimitOptions = {}): Promise<void> {
  for (let round = 0; round < (options.quick ? 1 : rounds); round++) await measureOnce(watch, best, options);
}

async function measureOnce(watch: Stopwatch, best: Best, { signal, onProgress }: LimitOptions): Promise<void> {
  const { device } = watch,
    probes = new Probes(watch, signal);
  try {
    onProgress?.('multiply-adds');
    for (const { work, samples } of await probes.multiplyAdds('f32')) best.rate('fma_gflops', work, samples);
    if (device.gpu.features.has('shader-f16')) {
      onProgress?.('multiply-adds in f16');
      for (const { work, samples } of await probes.multiplyAdds('f16')) best.rate('fma_f16_gflops', work, samples);
    }
    onProgress?.('subgroup matrices');
    for (const { work, samples } of await probes.matrixMultiplyAdds()) best.rate('fma_matrix_gflops', work, samples);
    onProgress?.('memory');
    const { read, copy } = await probes.memory();
    for (const { work, samples } of read) best.rate('read_gbps', work, samples);
    for (const { work, samples } of copy) best.rate('copy_gbps', work, samples);
    onProgress?.('workgroup memory');
    const { work, samples } = await probes.workgroupMemory();
    best.rate('workgroup_gbps', work, samples);
    onProgress?.('dispatches and submissions');
    const { dispatch, submit, wait } = await overheads(watch, await probes.nothing(), signal);
    best.time('dispatch_us', dispatch);
    best.time('submit_us', submit);
    best.time('wait_us', wait);
    onProgress?.('upload and read-back');
    const { bytes, upload, readback } = await transfers(device, signal);
    best.rate('upload_gbps', bytes, upload);
    best.rate('readback_gbps', bytes, readback);
  } finally {
    probes.release();
  }
}

/** The best of each limit. What an adapter can do at most shows where nothing disturbs it: in the fastest samples, but for the luckiest. */
export class Best {
  readonly limits: Partial<Limits> & Record<string, number> = {};
  /** Of each limit's samples. */
  readonly spread: Record<string, number> = {};

  /** A rate in billions a second: so much work in each of the samples' ms. */
  rate(key: keyof Limits, work: number, samples: number[]): void {
    const value = work / fastest(samples) / 1e6;
    if (value > (this.limits[key] ?? 0)) this.keep(key, value, samples);
  }

  /** A time in µs, of samples in ms. */
  time(key: keyof Limits, samples: number[]): void {
    const value = 1000 * fastest(samples);
    if (value < (this.limits[key] ?? Infinity)) this.keep(key, value, samples);
  }

  private keep(key: keyof Limits, value: number, samples: number[]): void {
    this.limits[key] = value;
    this.spread[key] = spread(samples);
  }
}

const fastest = (samples: number[]): number => quantile(samples, 0.1);
