import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { type AdamWState, adamw, adamwStep } from '../shaders/adamw.ts';
import { add } from '../shaders/add.ts';
import { globalNorm } from '../shaders/global_norm.ts';
import type { Learned } from './learned.ts';
import type { TrainingSettings } from './settings.ts';

/** What the optimiser keeps of a tensor, all f32 in the tensor's layout; the average is what a checkpoint for drawing holds. */
export interface State extends Learned, Required<Omit<AdamWState, 'weight'>> {
  gradient: Tensor;
}

export type OptimiserSettings = Pick<TrainingSettings, 'beta1' | 'beta2' | 'eps' | 'weight_decay' | 'clip' | 'ema'>;

/** AdamW over what learns, with a moving average (spec: training.md, section 3). */
export class Optimiser {
  readonly states: State[];
  private readonly workspace: Workspace;
  /** What `adamwStep` gives. */
  private readonly rates: Tensor;

  constructor(
    private readonly device: Device,
    learned: readonly Learned[],
    private readonly settings: OptimiserSettings,
  ) {
    this.workspace = new Workspace(device);
    this.rates = this.workspace.tensor('rates', 'f32', [4]);
    this.states = learned.map((one) => this.state(one));
  }

  private state(learned: Learned): State {
    const { name, type, shape } = learned.tensor,
      like = (what: string) => this.workspace.tensor(`${name} ${what}`, 'f32', shape);
    return {
      ...learned,
      master: type === 'f32' ? learned.tensor : like('master'),
      gradient: like('gradient'),
      moment1: like('moment 1'),
      moment2: like('moment 2'),
      average: like('average'),
    };
  }

  /** Where the gradients of what learns are added up. */
  get gradients(): Map<Tensor, Tensor> {
    return new Map(this.states.map(({ tensor, gradient }) => [tensor, gradient]));
  }

  /** Begins with the weights as they are loaded: masters and averages are theirs, moments and gradients zero. */
  async begin(): Promise<void> {
    const program = await this.device.record('begin training', (p) => {
      for (const { tensor, master, average } of this.states) {
        if (master !== tensor) add(p, master, tensor, master);
        add(p, average, tensor, average);
      }
    });
    await this.device.queue.run(program);
    await this.device.queue.idle();
    program.destroy();
  }

  /** Records a step on the gradients as they have added up, which are zero behind it; returns their norm, f32 [1]. */
  record(p: Recorder): Tensor {
    const norm = globalNorm(
      p,
      this.states.map(({ gradient }) => gradient),
    );
    for (const { tensor, decays, gradient, ...state } of this.states) {
      const weight = tensor === state.master ? undefined : tensor;
      const settings = { ...this.settings, weight_decay: decays ? this.settings.weight_decay : 0 };
      adamw(p, { ...state, weight }, gradient, norm, this.rates, settings);
    }
    return norm;
  }

  /** Sets what changes from step to step, before the step is run: `n` counts from 0. */
  prepare(n: number, lr: number): void {
    const decay = Math.min(this.settings.ema, (1 + n) / (10 + n));
    this.workspace.write(this.rates, adamwStep(lr, n + 1, this.settings, decay));
  }

  release(): Promise<void> {
    return this.workspace.release();
  }
}
