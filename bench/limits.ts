import type { Device } from '../engine/device.ts';
import type { Constants, ShaderSource } from '../engine/preprocessor.ts';
import type { Program } from '../engine/program.ts';
import { packRows, type Tensor } from '../engine/tensor.ts';
import { measure, quantile, spread, type Timing } from './measure.ts';
import fmaWgsl from './probes/fma.wgsl';
import nothingWgsl from './probes/nothing.wgsl';
import readWgsl from './probes/read.wgsl';
import workgroupWgsl from './probes/workgroup.wgsl';
import type { Stopwatch } from './stopwatch.ts';

/** What an adapter can do at most, by shaders that do that one thing; each key ends in its unit. */
export interface Limits {
  /** Multiply-adds in f32, two operations each. */
  fma_gflops: number;
  /** The same in f16, where the device has it. */
  fma_f16_gflops?: number;
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
  /** The spread of each, as a part of it. */
  spread: Record<string, number>;
}

export interface LimitOptions {
  /** Once is enough. */
  quick?: boolean;
  signal?: AbortSignal;
  onProgress?: (what: string) => void;
}

/** A run of a probe that is long enough to fill the device. */
const enoughMs = 4,
  fmaRounds = 32,
  threads = 64,
  mostGroups = 65_535;

/**
 * Measures all limits of the device, twice unless it is to be quick, and keeps the better of each: a neighbour that works
 * for some seconds is no limit of the adapter's. Takes some seconds on a GPU, up to half a minute on a CPU.
 */
export async function measureLimits(watch: Stopwatch, options: LimitOptions = {}): Promise<Limits> {
  const limits = { spread: {} as Record<string, number> } as Limits;
  await measureOnce(watch, limits, options);
  if (!options.quick && !options.signal?.aborted) await measureOnce(watch, limits, options);
  return limits;
}

/** Measures each limit and writes into `limits` those that are better than what stands there. */
async function measureOnce(watch: Stopwatch, limits: Limits, { signal, onProgress }: LimitOptions): Promise<void> {
  const { device } = watch;
  const keep = (key: Exclude<keyof Limits, 'spread'>, value: number, { spread }: Pick<Timing, 'spread'>) => {
    const before = limits[key],
      isRate = !key.endsWith('_us');
    if (before !== undefined && before > value === isRate) return;
    limits[key] = value;
    limits.spread[key] = spread;
  };
  const probes = new Probes(device, signal);
  try {
    onProgress?.('multiply-adds');
    const f32 = await probes.multiplyAdds(watch, 'f32');
    keep('fma_gflops', f32.value, f32.timing);
    if (device.gpu.features.has('shader-f16')) {
      onProgress?.('multiply-adds in f16');
      const f16 = await probes.multiplyAdds(watch, 'f16');
      keep('fma_f16_gflops', f16.value, f16.timing);
    }
    onProgress?.('memory');
    const { read, copy } = await probes.memory(watch);
    keep('read_gbps', read.value, read.timing);
    keep('copy_gbps', copy.value, copy.timing);
    onProgress?.('workgroup memory');
    const local = await probes.workgroupMemory(watch);
    keep('workgroup_gbps', local.value, local.timing);
    onProgress?.('dispatches and submissions');
    const { dispatch, submit, wait } = await probes.overheads(watch);
    keep('dispatch_us', fastest(dispatch) * 1000, dispatch);
    keep('submit_us', fastest(submit) * 1000, submit);
    keep('wait_us', fastest(wait) * 1000, wait);
    onProgress?.('upload and read-back');
    const { upload, readback } = await probes.transfers();
    keep('upload_gbps', upload.value, upload.timing);
    keep('readback_gbps', readback.value, readback.timing);
  } finally {
    probes.release();
  }
}

/** A rate and the timing that it comes from. */
interface Rate {
  value: number;
  timing: Timing;
}

/** A fixed piece of work, ten ms on a CPU and some µs on a GPU: what else is timed can be told as a multiple of it. */
export async function makeYardstick(device: Device): Promise<{ program: Program; release: () => void }> {
  const probes = new Probes(device);
  return { program: await probes.multiplyAdd('f32', 4, 512), release: () => probes.release() };
}

/** Programs of one dispatch each, and the memory that they share. */
class Probes {
  private readonly programs: Program[] = [];
  private readonly tensors: Tensor[] = [];
  private readonly terms: Tensor;
  private readonly sink: Tensor;

  constructor(
    private readonly device: Device,
    private readonly signal?: AbortSignal,
  ) {
    this.terms = this.tensor('terms', 18, 4);
    this.sink = this.tensor('sink', 16, 4);
    const values = Float32Array.from({ length: 72 }, (_, i) => (i < 4 ? 0.999 : i < 8 ? 0.001 : 0.5 + i / 100));
    device.write(this.terms, packRows('f32', 4, values));
  }

  /** The best of several numbers of independent sums: which hides the latency best differs from adapter to adapter. */
  async multiplyAdds(watch: Stopwatch, number: 'f32' | 'f16'): Promise<Rate> {
    const rates: Rate[] = [];
    for (const chains of [1, 2, 4, 8]) {
      const flops = threads * fmaRounds * 8 * chains * 4 * 2;
      const { groups, program } = await this.filling(watch, (groups) => this.multiplyAdd(number, chains, groups));
      const [timing] = await measure(watch, [[program]], { samples: 6, budget_ms: 500, signal: this.signal });
      rates.push({ value: (groups * flops) / fastest(timing) / 1e6, timing });
    }
    return rates.reduce((best, rate) => (rate.value > best.value ? rate : best));
  }

  multiplyAdd(number: 'f32' | 'f16', chains: number, groups: number): Promise<Program> {
    const constants = { half: number === 'f16', number, chains, rounds: fmaRounds };
    return this.program('fma', fmaWgsl, constants, [this.terms], [this.sink], groups);
  }

  /** Over as much memory as no cache holds, within what the device binds at once; the best way through it counts. */
  async memory(watch: Stopwatch): Promise<{ read: Rate; copy: Rate }> {
    const most = Math.min(this.device.maxBinding, this.device.software ? 2 ** 27 : 2 ** 28),
      words = 2 ** Math.floor(Math.log2(most / 4)),
      from = this.tensor('from', words / 4, 4),
      to = this.tensor('to', words / 4, 4);
    const best = async (copy: boolean): Promise<Rate> => {
      const ways = [
        { element: 'vec4<u32>', across: true, each: 16 },
        { element: 'vec4<u32>', across: false, each: 16 },
        { element: 'u32', across: true, each: 32 },
        { element: 'u32', across: false, each: 64 },
      ];
      const programs = await Promise.all(
        ways.map(({ element, across, each }) => {
          const groups = words / (element === 'u32' ? 1 : 4) / threads / each;
          const constants = { element, across, each, copy };
          return this.program('read', readWgsl, constants, [from], [copy ? to : this.sink], groups);
        }),
      );
      const options = { samples: 6, budget_ms: 500, signal: this.signal },
        timings = await measure(
          watch,
          programs.map((program) => [program]),
          options,
        );
      const timing = timings.reduce((a, b) => (fastest(b) < fastest(a) ? b : a));
      return { value: ((copy ? 2 : 1) * from.bytes) / fastest(timing) / 1e6, timing };
    };
    return { read: await best(false), copy: await best(true) };
  }

  async workgroupMemory(watch: Stopwatch): Promise<Rate> {
    const rounds = 256;
    const { groups, program } = await this.filling(watch, (groups) =>
      this.program('workgroup', workgroupWgsl, { rounds }, [this.terms], [this.sink], groups),
    );
    const [timing] = await measure(watch, [[program]], { samples: 6, budget_ms: 500, signal: this.signal });
    return { value: (groups * threads * rounds * 8 * 16) / fastest(timing) / 1e6, timing };
  }

  async overheads(watch: Stopwatch): Promise<{ dispatch: Timing; submit: Timing; wait: Timing }> {
    const { gpu } = this.device,
      nothing = await this.program('nothing', nothingWgsl, {}, [], [this.sink], 1);
    const [dispatch] = await measure(watch, [[nothing]], { samples: 20, signal: this.signal });
    const submissions = async (count: number): Promise<number> => {
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        await this.device.queue.run(nothing);
        this.device.queue.submit();
      }
      await gpu.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    const waits = await repeat(500, () => submissions(1), this.signal);
    const many = 200,
      submits = await repeat(40, async () => (await submissions(many)) / many, this.signal);
    return { dispatch, submit: plain(submits), wait: plain(waits) };
  }

  async transfers(): Promise<{ upload: Rate; readback: Rate }> {
    const { gpu } = this.device,
      bytes = 2 ** 24,
      target = this.tensor('transfer', bytes / 16, 4),
      host = new Uint8Array(bytes).fill(1);
    const upload = async (): Promise<number> => {
      const start = performance.now();
      for (let i = 0; i < 4; i++) gpu.queue.writeBuffer(target.buffer, 0, host);
      await gpu.queue.onSubmittedWorkDone();
      return (performance.now() - start) / 4;
    };
    const staging = gpu.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const readback = async (): Promise<number> => {
      const start = performance.now(),
        encoder = gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(target.buffer, 0, staging, 0, bytes);
      gpu.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      host.set(new Uint8Array(staging.getMappedRange()));
      staging.unmap();
      return performance.now() - start;
    };
    const rate = (times: number[]): Rate => ({ value: bytes / fastest(plain(times)) / 1e6, timing: plain(times) });
    const up = rate(await repeat(60, upload, this.signal)),
      down = rate(await repeat(60, readback, this.signal));
    staging.destroy();
    return { upload: up, readback: down };
  }

  release(): void {
    for (const program of this.programs) program.destroy();
    for (const tensor of this.tensors) this.device.release(tensor);
  }

  /** The program over so many workgroups that a run takes long enough, or over as many as there can be. */
  private async filling(
    watch: Stopwatch,
    make: (groups: number) => Promise<Program>,
  ): Promise<{ groups: number; program: Program }> {
    for (let groups = 64; ; groups *= 4) {
      const program = await make(Math.min(groups, mostGroups));
      await watch.time([program], 1, this.signal);
      const ms = await watch.time([program], 1, this.signal);
      if (ms >= enoughMs || groups >= mostGroups) return { groups: Math.min(groups, mostGroups), program };
    }
  }

  private async program(
    name: string,
    source: ShaderSource,
    constants: Constants,
    read: Tensor[],
    write: Tensor[],
    groups: number,
  ): Promise<Program> {
    const program = await this.device.record(name, (p) =>
      p.operation({ name, source, constants, read, write, uniforms: [], workgroups: [groups] }),
    );
    this.programs.push(program);
    return program;
  }

  private tensor(name: string, rows: number, cols: number): Tensor {
    const tensor = this.device.tensor(name, 'f32', [rows, cols]);
    this.tensors.push(tensor);
    return tensor;
  }
}

const plain = (times: number[]): Timing => ({ ms: quantile(times, 0.5), spread: spread(times), samples: times });

/** What an adapter can do at most shows where nothing disturbs it: the fastest samples, but for the luckiest. */
const fastest = ({ samples }: Timing): number => quantile(samples, 0.1);

/** Times of so many runs, without the first; of six at least, and else of what half a second has room for. */
async function repeat(count: number, run: () => Promise<number>, signal?: AbortSignal): Promise<number[]> {
  await run();
  const times: number[] = [],
    start = performance.now();
  while (times.length < count && !signal?.aborted) {
    times.push(await run());
    if (times.length >= 6 && performance.now() - start > 500) break;
  }
  return times;
}
