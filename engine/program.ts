import { gigabytes } from '../base/bytes.ts';
import { MMARError } from '../base/error.ts';
import type { Device } from './device.ts';
import { Pace } from './pace.ts';
import { planScratch, planSteps, planUniforms, type Step } from './plan.ts';
import type { Constants, ShaderSource } from './preprocessor.ts';
import type { Back, Tape } from './tape.ts';
import { type ElementType, type Piece, packRows, Tensor } from './tensor.ts';
import { type Shape, shapeClass } from './tuning.ts';

/** How a kernel is launched. */
export interface Launch {
  source: ShaderSource;
  constants: Constants;
  workgroups: [number, number?, number?];
  /**
   * Most rows of workgroups of one dispatch, where all of them might take too long for a screen or a watchdog. The last word
   * of the uniform block is then the first row of a dispatch, which the shader adds to `workgroup_id.y`.
   */
  rowsAtOnce?: number;
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

/** Collects the operations of a program. Kernels call `tensor` for their results and end in `operation`. */
export class Recorder {
  readonly dispatches: Dispatch[] = [];
  readonly made = new Set<Piece>();
  /** Buffers that go when the program goes. */
  readonly constants: GPUBuffer[] = [];
  private readonly kept: Tensor[] = [];
  /** Set while a training step is recorded: where operations leave how to go back. */
  tape?: Tape;
  private partName: string;

  constructor(
    readonly device: Device,
    readonly name: string,
  ) {
    this.partName = name;
  }

  /**
   * A scratch tensor that lives from the dispatch that first uses it to the last that does. Throws `adapter` where the device does
   * not bind it in one piece.
   */
  tensor(name: string, type: ElementType, shape: readonly number[]): Tensor {
    const tensor = new Tensor(name, type, shape, this.device.maxBinding);
    if (tensor.pieces.length > 1) throw new MMARError('adapter', tooLarge(tensor, this.device.maxBinding));
    for (const piece of tensor.pieces) this.made.add(piece);
    return tensor;
  }

  /** Whether a tensor is one of this program's own, without memory outside it. */
  isScratch(tensor: Tensor): boolean {
    return tensor.pieces.some((piece) => this.made.has(piece));
  }

  /** Gives a scratch tensor memory that lasts, so that it can be read after the run; the caller releases it. */
  keep(tensor: Tensor): Tensor {
    if (!this.isScratch(tensor)) return tensor;
    this.kept.push(tensor);
    for (const piece of tensor.pieces) {
      if (this.made.delete(piece))
        piece.buffer = this.device.memory.create(Math.max(1, piece.rows) * tensor.rowBytes, tensor.name);
    }
    return tensor;
  }

  /** A tensor of fixed values that lives as long as the program. */
  constant(name: string, type: ElementType, shape: readonly number[], values: ArrayLike<number>): Tensor {
    const tensor = this.device.tensor(name, type, shape);
    for (const { buffer } of tensor.pieces) this.constants.push(buffer!);
    this.device.write(tensor, packRows(type, tensor.cols, values));
    return tensor;
  }

  /** Frees what a recording that failed has made. */
  discard(): void {
    for (const tensor of this.kept) this.device.release(tensor);
    for (const buffer of this.constants) this.device.memory.destroy(buffer);
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

  /**
   * A part of a model that is worth recording twice in a training step that must save memory, such as a layer: a tape that
   * recomputes drops what it makes and records it again on the way back.
   * @param record reads what lasts or was made before, and may write to what lasts only what it would write again
   * @param always also where the tape does not recompute
   * @returns what `record` made
   */
  block(record: () => Tensor, always = false): Tensor {
    return this.tape ? this.tape.block(record, always) : record();
  }

  /** Leaves out what leads to nothing that lasts, such as the end of the last layer where a pass is there to fill a cache. */
  prune(): void {
    const needed = new Set<Piece>();
    const leads = ({ read, write }: Dispatch): boolean => {
      const pieces = (tensors: Tensor[]): Piece[] => tensors.flatMap((t) => t.pieces);
      if (!pieces(write).some((piece) => !this.made.has(piece) || needed.has(piece))) return false;
      for (const piece of pieces([...read, ...write])) needed.add(piece);
      return true;
    };
    const kept = [...this.dispatches].reverse().filter(leads).reverse();
    this.dispatches.splice(0, this.dispatches.length, ...kept);
  }

  private choose(op: Operation): Launch & { variant: string; uniforms?: number[] } {
    if (!('candidates' in op)) {
      const { source, constants, workgroups, rowsAtOnce } = op;
      return { source, constants, workgroups, rowsAtOnce, variant: '' };
    }
    const { name, shape = {}, candidates } = op;
    const { uniforms = op.uniforms, ...chosen } =
      candidates[this.device.tuning.pick(name, shapeClass(shape), candidates)];
    return { ...chosen, uniforms };
  }
}

/** Dispatches recorded once and replayed: no allocation, look-up or check happens when it runs. */
export class Program {
  /** What the queue knows of how long its dispatches take. */
  readonly pace = new Pace();
  /** Runs that have begun or wait. */
  private runs = 0;
  private destroyed = false;

  private constructor(
    readonly name: string,
    readonly steps: readonly Step[],
    private readonly device: Device,
    private readonly memory: ProgramMemory,
  ) {}

  /** Finds memory for what was recorded, makes bind groups and compiles; who catches its error discards the recorder. */
  static async plan(recorder: Recorder): Promise<Program> {
    const { device, dispatches, made } = recorder,
      scratch = planScratch(recorder),
      { buffer, offsets } = planUniforms(recorder);
    const memory = { scratch, owned: buffer ? [...recorder.constants, buffer] : recorder.constants };
    try {
      const steps = dispatches.map((d) => planSteps(device, d, buffer, offsets));
      for (const piece of made) piece.buffer = undefined; // scratch has no meaning outside the program
      return new Program(recorder.name, (await Promise.all(steps)).flat(), device, memory);
    } catch (error) {
      device.memory.letGo(scratch);
      if (buffer) device.memory.destroy(buffer);
      throw error;
    }
  }

  /** Called by the queue when a run is asked for. */
  begin(): void {
    if (this.destroyed) throw new MMARError('usage', `the program ${this.name} was destroyed; record it again`);
    this.runs++;
  }

  /** Called by the queue when a run is recorded, or was stopped. */
  end(): void {
    this.runs--;
    if (this.destroyed && !this.runs) this.free();
  }

  /** Lets go of the program's own memory once no run needs it; scratch stays for other programs. */
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    if (!this.runs) this.free();
  }

  private free(): void {
    this.device.queue.submit(); // what was recorded still finds its buffers
    for (const buffer of this.memory.owned) this.device.memory.destroy(buffer);
    this.device.memory.letGo(this.memory.scratch);
  }
}

/** Buffers of a program: shared with others, and its own. */
interface ProgramMemory {
  scratch: readonly GPUBuffer[];
  owned: readonly GPUBuffer[];
}

const tooLarge = ({ name, shape, bytes }: Tensor, most: number): string =>
  `${name} [${shape}] takes ${gigabytes(bytes)} and this adapter binds ${gigabytes(most)} at once; take fewer pictures or examples at once (--batch, --micro-batch), or another adapter`;
