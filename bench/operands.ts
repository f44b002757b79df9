import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Candidate, Program } from '../engine/program.ts';
import { type Piece, packRows, type Tensor } from '../engine/tensor.ts';
import type { RecordedShape } from './shapes.ts';
import { deviationOf, fill } from './weights.ts';

/** The operands of a recorded shape on a real device, with numbers as the model has them. */
export class Operands {
  private readonly tensors = new Map<Piece, Tensor>();
  private filling: Program | undefined;

  private constructor(
    private readonly device: Device,
    private readonly shape: RecordedShape,
  ) {}

  static async make(device: Device, shape: RecordedShape): Promise<Operands> {
    const made = new Operands(device, shape),
      { read, write, name } = shape.dispatch;
    device.gpu.pushErrorScope('out-of-memory');
    for (const t of [...read, ...write])
      if (!made.tensors.has(t.pieces[0])) made.tensors.set(t.pieces[0], device.tensor(t.name, t.type, t.shape));
    const failure = await device.gpu.popErrorScope();
    if (failure) {
      made.release();
      const size = `${(Operands.bytes(shape) / 1e6).toFixed(0)} MB`;
      throw new MMARError(
        'adapter',
        `the adapter has no memory for ${size} of operands of ${name}; give a smaller shape`,
      );
    }
    made.filling = await device.record(`${name} operands`, (p) =>
      [...read, ...write].forEach((t, i) => {
        const own = made.of(t);
        if (own.type !== 'bf16' && own.type !== 'f32') return;
        const std = shape.weights.has(t) ? deviationOf(own) : 1;
        fill(p, own, 7919 * (i + 1), std, std ? 0 : 1);
      }),
    );
    await made.refill();
    return made;
  }

  /** Bytes of all operands of a shape. */
  static bytes({ dispatch: { read, write } }: RecordedShape): number {
    return [...new Set([...read, ...write])].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  of(tensor: Tensor): Tensor {
    return this.tensors.get(tensor.pieces[0])!;
  }

  /** Sets all operands to what they were at first, results too. */
  async refill(): Promise<void> {
    const { device, shape } = this;
    await device.queue.run(this.filling!);
    for (const t of [...shape.dispatch.read, ...shape.dispatch.write]) {
      if (t.type !== 'u32' && t.type !== 'i32') continue;
      const own = this.of(t),
        words = shape.contents.get(t);
      const rows =
        words?.length === own.bytes / 4
          ? new Uint8Array(words.slice().buffer)
          : packRows('u32', own.cols, new Uint32Array(own.rows * own.cols));
      device.write(own, rows);
    }
    await device.queue.idle();
  }

  /** A program of one launch of the operation on these operands. */
  program({ source, constants, workgroups, uniforms }: Candidate): Promise<Program> {
    const { name, label, read, write, shape } = this.shape.dispatch;
    return this.device.record(name, (p) =>
      p.operation({
        name,
        label,
        read: read.map((t) => this.of(t)),
        write: write.map((t) => this.of(t)),
        uniforms: uniforms ?? this.shape.dispatch.uniforms,
        shape,
        source,
        constants,
        workgroups,
      }),
    );
  }

  /** What a program leaves in the operation's results, from operands as they were at first. */
  async results(program: Program): Promise<Float32Array[]> {
    await this.refill();
    await this.device.queue.run(program);
    await this.device.queue.idle();
    const read: Float32Array[] = [];
    for (const t of this.shape.dispatch.write) read.push(await this.device.read(this.of(t)));
    return read;
  }

  release(): void {
    this.filling?.destroy();
    for (const tensor of this.tensors.values()) this.device.release(tensor);
  }
}
