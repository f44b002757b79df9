import { MMARError } from '../base/error.ts';
import type { Device } from './device.ts';
import type { Constants, Layout, ShaderSource } from './pipeline.ts';
import type { Back, Tape } from './tape.ts';
import { type ElementType, type Piece, roundUp, Tensor } from './tensor.ts';
import { type Shape, shapeClass } from './tuning.ts';

/** How a kernel is launched. */
export interface Launch {
  source: ShaderSource;
  constants: Constants;
  workgroups: [number, number?, number?];
}

/** One of several ways to run an operation, all with the same result. */
export interface Candidate extends Launch {
  /** What reports and `MMAR_FORCE` call it. */
  variant: string;
  /** Where it wants others than the operation's. */
  uniforms?: number[];
}

/** What a kernel asks for: the shader's bindings are `read`, then `write`, then the uniform block, in this order. */
export type Operation = {
  /** The kernel, as tuner, benches and reports know it. */
  name: string;
  /** What it is run for, such as a layer's name. */
  label?: string;
  read: Tensor[];
  write: Tensor[];
  /** The uniform block, as u32 words (`f32Bits` for floats). */
  uniforms: number[];
  /** Sizes that decide which candidate is best. */
  shape?: Shape;
  /** What its results depend on: all that is read, unless given. */
  inputs?: Tensor[];
  /** How to go back (see `Tape`). Without it the operation may not stand between what learns and a loss. */
  gradient?: Back;
} & (Launch | { candidates: Candidate[] });

/** An operation as it was recorded: one kernel launch, its candidate chosen. */
export interface Dispatch extends Launch {
  name: string;
  label: string;
  /** The candidate's; empty where there is but one. */
  variant: string;
  /** The stage of the program that it belongs to, for the profile. */
  part: string;
  read: Tensor[];
  write: Tensor[];
  uniforms: number[];
  shape: Shape;
}

/** A dispatch with all that can be decided once: what replaying it takes is three calls. */
export interface Step {
  dispatch: Dispatch;
  part: string;
  /** How the bindings are used: with it `Pipelines.get` compiles another shader for the same bind group. */
  layout: Layout;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  workgroups: [number, number, number];
}

const uniformSlot = 256; // minUniformBufferOffsetAlignment that every adapter takes

/** Collects the operations of a program. Kernels call `tensor` for their results and end in `operation`. */
export class Recorder {
  readonly dispatches: Dispatch[] = [];
  readonly made = new Set<Piece>();
  /** Set while a training step is recorded: where operations leave how to go back. */
  tape?: Tape;
  private partName: string;

  constructor(
    readonly device: Device,
    readonly name: string,
  ) {
    this.partName = name;
  }

  /** A scratch tensor that lives from the dispatch that first uses it to the last that does. */
  tensor(name: string, type: ElementType, shape: readonly number[]): Tensor {
    const tensor = new Tensor(name, type, shape, this.device.maxBinding);
    for (const piece of tensor.pieces) this.made.add(piece);
    return tensor;
  }

  /** Gives a scratch tensor memory that lasts, so that it can be read after the run; the caller releases it. */
  keep(tensor: Tensor): Tensor {
    for (const piece of tensor.pieces) {
      if (this.made.delete(piece))
        piece.buffer = this.device.memory.create(Math.max(1, piece.rows) * tensor.rowBytes, tensor.name);
    }
    return tensor;
  }

  /** Names what follows for the profile, e.g. `EmbeddingViT`. */
  part(name: string): void {
    this.partName = name;
  }

  /** Records one kernel: the call in which every kernel ends. Throws `adapter` where it takes too many workgroups. */
  operation(op: Operation): void {
    const { name, label = name, read, write, uniforms, shape = {} } = op;
    const { variant, ...launch } = this.choose(op);
    const [x, y = 1, z = 1] = launch.workgroups,
      most = this.device.limits.maxComputeWorkgroupsPerDimension;
    if (!x || !y || !z) return; // nothing to do for an empty operand
    if (Math.max(x, y, z) > most) {
      throw new MMARError(
        'adapter',
        `${name}: ${launch.workgroups} workgroups, the adapter takes ${most} a dimension; use a smaller input`,
      );
    }
    this.dispatches.push({ uniforms, ...launch, name, label, variant, part: this.partName, read, write, shape });
    this.tape?.leave(write, op.inputs ?? read, op.gradient, name);
  }

  /**
   * Makes one differentiable operation of several: what `record` records leaves nothing on the tape itself.
   * @param inputs what the result depends on
   * @returns what `record` made
   */
  composite<T extends Tensor | readonly Tensor[]>(name: string, inputs: Tensor[], record: () => T, gradient: Back): T {
    const { tape } = this;
    this.tape = undefined;
    try {
      const made = record();
      tape?.leave(made, inputs, gradient, name);
      return made;
    } finally {
      this.tape = tape;
    }
  }

  private choose(op: Operation): Launch & { variant: string; uniforms?: number[] } {
    if (!('candidates' in op))
      return { source: op.source, constants: op.constants, workgroups: op.workgroups, variant: '' };
    const { name, shape = {}, candidates } = op;
    const { uniforms = op.uniforms, ...chosen } =
      candidates[this.device.tuning.pick(name, shapeClass(shape), candidates)];
    return { ...chosen, uniforms };
  }
}

/** Dispatches recorded once and replayed: no allocation, look-up or check happens when it runs. */
export class Program {
  /** What `Device.run` knows of how long its dispatches take. */
  readonly timed = { dispatches: 0, seconds: 0 };

  private constructor(
    readonly name: string,
    readonly steps: Step[],
    private readonly uniforms: GPUBuffer | undefined,
    private readonly device: Device,
  ) {}

  static async plan(recorder: Recorder): Promise<Program> {
    const { device, dispatches, made } = recorder;
    planScratch(recorder);
    const slots = new Map<string, number>();
    for (const d of dispatches) {
      const key = d.uniforms.join();
      if (d.uniforms.length && !slots.has(key)) slots.set(key, slots.size * uniformSlot);
    }
    const uniforms = slots.size
      ? device.memory.create(
          slots.size * uniformSlot,
          `${recorder.name} uniforms`,
          GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
        )
      : undefined;
    if (uniforms) {
      const words = new Uint32Array((slots.size * uniformSlot) / 4);
      for (const [key, offset] of slots) words.set(key.split(',').map(Number), offset / 4);
      device.gpu.queue.writeBuffer(uniforms, 0, words);
    }
    const steps = await Promise.all(
      dispatches.map(async (d): Promise<Step> => {
        const layout = 'r'.repeat(d.read.length) + 'w'.repeat(d.write.length) + (d.uniforms.length ? 'u' : '');
        const entries: GPUBindGroupEntry[] = [...d.read, ...d.write].map((t, binding) => ({
          binding,
          resource: { buffer: t.buffer },
        }));
        if (d.uniforms.length) {
          const offset = slots.get(d.uniforms.join())!;
          entries.push({
            binding: entries.length,
            resource: { buffer: uniforms!, offset, size: roundUp(4 * d.uniforms.length, 16) },
          });
        }
        const bindGroup = device.gpu.createBindGroup({
          label: d.name,
          layout: device.pipelines.bindGroupLayout(layout),
          entries,
        });
        const [x, y = 1, z = 1] = d.workgroups;
        return {
          dispatch: d,
          part: d.part,
          layout,
          pipeline: await device.pipelines.get(d.name, d.source, d.constants, layout),
          bindGroup,
          workgroups: [x, y, z],
        };
      }),
    );
    for (const piece of made) piece.buffer = undefined; // scratch has no meaning outside the program
    return new Program(recorder.name, steps, uniforms, device);
  }

  /** Lets go of the program's own memory; scratch stays for others. */
  destroy(): void {
    if (this.uniforms) this.device.memory.destroy(this.uniforms);
  }
}

/** Gives each scratch piece a buffer from its first use to its last; then all go back to the shared workspace. */
function planScratch({ device, dispatches, made }: Recorder): void {
  const first = new Map<Piece, number>(),
    last = new Map<Piece, number>(),
    size = new Map<Piece, number>();
  dispatches.forEach((d, i) => {
    for (const t of [...d.read, ...d.write]) {
      for (const piece of t.pieces) {
        if (!made.has(piece)) continue;
        if (!first.has(piece)) first.set(piece, i);
        last.set(piece, i);
        size.set(piece, Math.max(1, piece.rows) * t.rowBytes);
      }
    }
  });
  dispatches.forEach((_, i) => {
    for (const [piece, at] of first) if (at === i) piece.buffer = device.memory.takeScratch(size.get(piece)!);
    for (const [piece, at] of last) if (at === i) device.memory.giveScratch(piece.buffer!);
  });
}
