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
    private readonly mostPrograms = 64,
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

  /**
   * The program of that name; a recording that fails is thrown to all that wait for it, and tried again next time. Nobody need
   * wait: asked for ahead of its turn, it compiles meanwhile.
   */
  program(key: string, record: (p: Recorder) => void): Promise<Program> {
    const program = this.programs.get(key) ?? this.device.record(key, record);
    this.programs.delete(key);
    this.programs.set(key, program); // the last used stands last
    program.catch(() => {
      if (this.programs.get(key) === program) this.programs.delete(key);
    });
    if (this.programs.size > this.mostPrograms) {
      const [oldest, gone] = this.programs.entries().next().value!;
      this.programs.delete(oldest);
      gone.then((old) => old.destroy()).catch(() => {}); // whoever waits for its recording hears of that
    }
    return program;
  }

  /** Frees programs and tensors, and the scratch that no other program uses. */
  async release(): Promise<void> {
    const programs = await Promise.allSettled(this.programs.values());
    this.programs.clear();
    for (const recorded of programs) if (recorded.status === 'fulfilled') recorded.value.destroy();
    for (const tensor of this.tensors.splice(0)) this.device.release(tensor);
    this.device.memory.trim();
  }
}
