import type { Device } from '../engine/device.ts';
import type { Program } from '../engine/program.ts';
import { Tape } from '../engine/tape.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { add } from '../shaders/add.ts';
import type { Graph, Pass, PassShape } from './graph.ts';
import type { Optimiser } from './optimiser.ts';
import type { DrawingExample, ReadingExample } from './passes.ts';

/** All examples of a step, by task. */
export interface Batch {
  drawing: DrawingExample[];
  reading: ReadingExample[];
}

/** What a step tells. */
export interface StepReport {
  loss_image: number;
  loss_text: number;
  /** Before clipping, over all that learns. */
  grad_norm: number;
}

interface Recorded<E> {
  pass: Pass<E>;
  program: Program;
}

/** The shapes of passes that a step of these examples needs, given as large as they may get so that few are recorded. */
export interface PassPlan {
  /** Examples of one pass. */
  most: number;
  /** The shape of a pass of so many examples of a task. */
  shape(task: keyof Batch, examples: readonly (DrawingExample | ReadingExample)[]): PassShape;
}

/**
 * Steps of training: each of its passes goes forward and back through some examples and adds to the gradients, then the
 * optimiser makes its step. Every program is recorded when it is first needed and replayed from then on.
 */
export class Trainer {
  private readonly workspace: Workspace;
  private readonly passes = new Map<string, Promise<Recorded<never>>>();
  private readonly one: Tensor;
  private readonly textWeight: Tensor;
  private readonly sums: Record<keyof Batch, Tensor>;
  private norm!: Tensor;
  private updateProgram?: Promise<Program>;

  /** @param recompute the model's blocks are recomputed on the way back: less memory, more time, the same bits */
  constructor(
    private readonly device: Device,
    private readonly graph: Graph,
    private readonly optimiser: Optimiser,
    private readonly plan: PassPlan,
    text_weight: number,
    private readonly recompute = false,
  ) {
    this.workspace = new Workspace(device);
    const scalar = (name: string) => this.workspace.tensor(name, 'f32', [1]);
    this.one = scalar('one');
    this.textWeight = scalar('text weight');
    this.sums = { drawing: scalar('loss_image'), reading: scalar('loss_text') };
    this.workspace.write(this.one, [1]);
    this.workspace.write(this.textWeight, [text_weight]);
  }

  /** Adds the gradients of a batch to what the optimiser holds. */
  gradients(batch: Batch, signal?: AbortSignal): Promise<void> {
    return this.through(batch, true, signal);
  }

  /** The losses of a batch from which nothing is learned. */
  async losses(batch: Batch, signal?: AbortSignal): Promise<Pick<StepReport, 'loss_image' | 'loss_text'>> {
    await this.through(batch, false, signal);
    const [loss_image, loss_text] = await this.read(this.sums.drawing, this.sums.reading);
    return { loss_image, loss_text };
  }

  private async through(batch: Batch, back: boolean, signal?: AbortSignal): Promise<void> {
    for (const task of ['drawing', 'reading'] as const) {
      this.workspace.write(this.sums[task], [0]);
      const examples = batch[task];
      for (let i = 0; i < examples.length; i += this.plan.most)
        await this.pass(task, examples.slice(i, i + this.plan.most), 1 / examples.length, back, signal);
    }
  }

  /** The optimiser's step `n` on the gradients as they are. Resolves once the device was asked; its report comes later. */
  async update(n: number, lr: number, signal?: AbortSignal): Promise<{ report: Promise<StepReport> }> {
    this.optimiser.prepare(n, lr);
    await this.device.queue.run(await this.updating(), signal);
    return { report: this.report() };
  }

  private async report(): Promise<StepReport> {
    const [loss_image, loss_text, grad_norm] = await this.read(this.sums.drawing, this.sums.reading, this.norm);
    return { loss_image, loss_text, grad_norm };
  }

  private read(...scalars: Tensor[]): Promise<number[]> {
    return Promise.all(scalars.map(async (t) => (await this.device.read(t))[0]));
  }

  private async pass(
    task: keyof Batch,
    examples: readonly (DrawingExample | ReadingExample)[],
    weight: number,
    back: boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const shape = this.plan.shape(task, examples),
      key = [task, back ? 'back' : 'forward', ...Object.values(shape)].join(' ');
    let recorded = this.passes.get(key);
    if (!recorded) {
      recorded = this.recordPass(key, task, shape, back);
      this.passes.set(key, recorded);
    }
    const { pass, program } = await recorded;
    pass.write(examples as never[], weight);
    await this.device.queue.run(program, signal);
  }

  private async recordPass(key: string, task: keyof Batch, shape: PassShape, back: boolean): Promise<Recorded<never>> {
    const pass: Pass<never> = this.graph[task](this.workspace, shape);
    const program = await this.device.record(key, (p) => {
      if (back) p.tape = new Tape(p, this.optimiser.gradients, add, this.recompute);
      const loss = pass.record(p);
      add(p, this.sums[task], loss, this.sums[task]);
      p.part('backward');
      p.tape?.backward(loss, task === 'drawing' ? this.one : this.textWeight);
      p.prune();
    });
    return { pass, program };
  }

  private updating(): Promise<Program> {
    this.updateProgram ??= this.device.record('AdamW', (p) => {
      p.part('AdamW');
      this.norm = p.keep(this.optimiser.record(p));
    });
    return this.updateProgram;
  }

  async release(): Promise<void> {
    for (const recorded of this.passes.values()) (await recorded).program.destroy();
    (await this.updateProgram)?.destroy();
    if (this.norm) this.device.release(this.norm);
    await this.workspace.release();
  }
}
