import type { Device } from './device.ts';
import type { Program, Recorder } from './program.ts';
import { type ElementType, packRows, type Tensor } from './tensor.ts';

/** Lasting tensors and the programs that work on them, recorded when first needed: they live and die together. */
export class Workspace {
  private readonly tensors: Tensor[] = [];
  private readonly programs = new Map<string, Promise<Program>>();

  /** @param mostPrograms that are kept; the one not used for longest goes first */
  constructor(
    readonly device: Device,
    private readonly mostPrograms = Infinity,
  ) {}

  tensor(name: string, type: ElementType, shape: readonly number[]): Tensor {
    const tensor = this.device.tensor(name, type, shape);
    this.tensors.push(tensor);
    return tensor;
  }

  /** Writes all values of a tensor, in the order of the queue. */
  write(tensor: Tensor, values: ArrayLike<number>): void {
    this.device.write(tensor, packRows(tensor.type, tensor.cols, values));
  }

  async program(key: string, record: (p: Recorder) => void): Promise<Program> {
    const program = this.programs.get(key) ?? this.device.record(key, record);
    this.programs.delete(key);
    this.programs.set(key, program); // the last used stands last
    if (this.programs.size > this.mostPrograms) {
      const [oldest, gone] = this.programs.entries().next().value!;
      this.programs.delete(oldest);
      this.device.submit(); // it may have been run, but not sent
      (await gone.catch(() => undefined))?.destroy();
    }
    return program;
  }

  async release(): Promise<void> {
    for (const program of this.programs.values()) (await program.catch(() => undefined))?.destroy();
    for (const tensor of this.tensors) this.device.release(tensor);
  }
}
