import { MMARError } from '../base/error.ts';
import type { Device } from './device.ts';
import type { Constants, ShaderSource } from './pipeline.ts';
import type { Tape } from './tape.ts';
import { type ElementType, type Piece, roundUp, Tensor } from './tensor.ts';

/** One kernel launch: the shader's bindings are `read`, then `write`, then the uniform block, in this order. */
export interface Dispatch {
  name: string;
  source: ShaderSource;
  constants: Constants;
  read: Tensor[];
  write: Tensor[];
  /** The uniform block, as u32 words (`f32Bits` for floats). */
  uniforms: number[];
  workgroups: [number, number?, number?];
}

/** A dispatch with all that can be decided once: what replaying it takes is three calls. */
interface Step {
  name: string;
  part: string;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  workgroups: [number, number, number];
}

const uniformSlot = 256; // minUniformBufferOffsetAlignment that every adapter takes

/** Collects the dispatches of a program. Kernels call `tensor` for their results and `dispatch` for their work. */
export class Recorder {
  readonly dispatches: (Dispatch & { part: string })[] = [];
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

  dispatch(d: Dispatch): void {
    const [x, y = 1, z = 1] = d.workgroups,
      most = this.device.limits.maxComputeWorkgroupsPerDimension;
    if (!x || !y || !z) return; // nothing to do for an empty operand
    if (Math.max(x, y, z) > most) {
      throw new MMARError(
        'adapter',
        `${d.name}: ${d.workgroups} workgroups, the adapter takes ${most} a dimension; use a smaller input`,
      );
    }
    this.dispatches.push({ ...d, part: this.partName });
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
          name: d.name,
          part: d.part,
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
    for (const [piece, at] of first) {
      if (at === i) piece.buffer = device.memory.takeScratch(size.get(piece)!);
    }
    for (const [piece, at] of last) {
      if (at === i) device.memory.giveScratch(piece.buffer!);
    }
  });
}
