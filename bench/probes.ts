import type { Device } from '../engine/device.ts';
import type { Constants, ShaderSource } from '../engine/preprocessor.ts';
import type { Program } from '../engine/program.ts';
import { packRows, type Tensor } from '../engine/tensor.ts';
import { measure } from './measure.ts';
import fmaWgsl from './probes/fma.wgsl';
import nothingWgsl from './probes/nothing.wgsl';
import readWgsl from './probes/read.wgsl';
import workgroupWgsl from './probes/workgroup.wgsl';
import type { Stopwatch } from './stopwatch.ts';
import { subgroupMatrices, subgroupMatrixProbe, subgroupMatrixRounds } from './subgroup_matrix.ts';

/** A run of a probe that is long enough to fill the device. */
const enoughMs = 4,
  fmaRounds = 32,
  threads = 64,
  mostGroups = 65_535;

/** Operations or bytes of one run, and how many ms that took. */
export interface Probed {
  work: number;
  samples: number[];
}

/** A fixed piece of work, ten ms on a CPU and some µs on a GPU: what else is timed can be told as a multiple of it. */
export async function makeYardstick(watch: Stopwatch): Promise<{ program: Program; release: () => void }> {
  const probes = new Probes(watch);
  return { program: await probes.multiplyAdd('f32', 4, 512), release: () => probes.release() };
}

/** Programs of one dispatch each that do one thing as fast as the adapter can, and the memory that they share. */
export class Probes {
  private readonly device: Device;
  private readonly programs: Program[] = [];
  private readonly tensors: Tensor[] = [];
  private readonly terms: Tensor;
  private readonly sink: Tensor;

  constructor(
    private readonly watch: Stopwatch,
    private readonly signal?: AbortSignal,
  ) {
    this.device = watch.device;
    this.terms = this.tensor('terms', 18, 4);
    this.sink = this.tensor('sink', 16, 4);
    const values = Float32Array.from({ length: 72 }, (_, i) => (i < 4 ? 0.999 : i < 8 ? 0.001 : 0.5 + i / 100));
    this.device.write(this.terms, packRows('f32', 4, values));
  }

  /** With several numbers of independent sums: which hides the latency best differs from adapter to adapter. */
  async multiplyAdds(number: 'f32' | 'f16'): Promise<Probed[]> {
    const probed: Probed[] = [];
    for (const chains of [1, 2, 4, 8]) {
      const flops = threads * fmaRounds * 8 * chains * 4 * 2;
      probed.push(await this.filling(flops, (groups) => this.multiplyAdd(number, chains, groups)));
    }
    return probed;
  }

  multiplyAdd(number: 'f32' | 'f16', chains: number, groups: number): Promise<Program> {
    const constants = { half: number === 'f16', number, chains, rounds: fmaRounds };
    return this.program('fma', fmaWgsl, constants, [this.terms], [this.sink], groups);
  }

  /** The same by the matrices that the device's subgroups multiply as one operation; none where there are none. */
  async matrixMultiplyAdds(): Promise<Probed[]> {
    const probed: Probed[] = [];
    for (const matrix of subgroupMatrices(this.device)) {
      const { m, n, k } = matrix,
        y = this.tensor('y', m, n),
        subgroups = this.device.tensor('subgroups', 'u32', [4]);
      this.tensors.push(subgroups);
      for (const chains of [1, 2, 4, 8]) {
        const { source, constants } = subgroupMatrixProbe(this.device, matrix, chains),
          flops = 2 * m * n * k * subgroupMatrixRounds * chains;
        const { work, samples } = await this.filling(flops, (groups) =>
          this.program('subgroup_matrix', source, constants, [this.terms], [y, subgroups], groups),
        );
        const [count] = await this.device.read(subgroups); // a workgroup may have several
        probed.push({ work: work * count, samples });
      }
    }
    return probed;
  }

  /** Several ways through as much memory as no cache holds, within what the device binds at once. */
  async memory(): Promise<{ read: Probed[]; copy: Probed[] }> {
    const most = Math.min(this.device.maxBinding, this.device.software ? 2 ** 27 : 2 ** 28),
      words = 2 ** Math.floor(Math.log2(most / 4)),
      from = this.tensor('from', words / 4, 4);
    // Not side by side, where their addresses are a power of two apart and some caches take both for one.
    this.tensor('between', words / 64, 4);
    const to = this.tensor('to', words / 4, 4);
    const ways = [
      { element: 'vec4<u32>', across: true, each: 16 },
      { element: 'vec4<u32>', across: false, each: 16 },
      { element: 'u32', across: true, each: 32 },
      { element: 'u32', across: false, each: 64 },
    ];
    const all = async (copy: boolean): Promise<Probed[]> => {
      const programs = await Promise.all(
        ways.map(({ element, across, each }) => {
          const groups = words / (element === 'u32' ? 1 : 4) / threads / each;
          const constants = { element, across, each, copy };
          return this.program('read', readWgsl, constants, [from], [copy ? to : this.sink], groups);
        }),
      );
      const work = (copy ? 2 : 1) * from.bytes;
      return (await this.samples(programs)).map((samples) => ({ work, samples }));
    };
    return { read: await all(false), copy: await all(true) };
  }

  workgroupMemory(): Promise<Probed> {
    const rounds = 256;
    return this.filling(threads * rounds * 8 * 16, (groups) =>
      this.program('workgroup', workgroupWgsl, { rounds }, [this.terms], [this.sink], groups),
    );
  }

  /** A dispatch that does as little as one can. */
  nothing(): Promise<Program> {
    return this.program('nothing', nothingWgsl, {}, [], [this.sink], 1);
  }

  release(): void {
    for (const program of this.programs) program.destroy();
    for (const tensor of this.tensors) this.device.release(tensor);
  }

  /** Times a program over so many workgroups, each of so much work, that a run takes long enough, or as many as there can be. */
  private async filling(work: number, make: (groups: number) => Promise<Program>): Promise<Probed> {
    for (let groups = 64; ; groups *= 4) {
      const count = Math.min(groups, mostGroups),
        program = await make(count);
      await this.watch.time([program], 1, this.signal);
      const ms = await this.watch.time([program], 1, this.signal);
      if (ms < enoughMs && groups < mostGroups) continue;
      const [samples] = await this.samples([program]);
      return { work: count * work, samples };
    }
  }

  private async samples(programs: Program[]): Promise<number[][]> {
    const contestants = programs.map((program) => [program]),
      timings = await measure(this.watch, contestants, { samples: 6, budget_ms: 500, signal: this.signal });
    return timings.map(({ samples }) => samples);
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
