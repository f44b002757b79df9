import { MMARError } from '../base/error.ts';
import type { MMAR } from '../model/mmar.ts';
import { Batches } from './batch.ts';
import { drawExample, type Item, type Pictures } from './examples.ts';
import { graphOf } from './graph_of.ts';
import { chooseLearned, type Learn } from './learned.ts';
import { Optimiser } from './optimiser.ts';
import { learningRate, type TrainingSettings } from './settings.ts';
import { type StepReport, Trainer } from './trainer.ts';

/** A step that is done. */
export interface Progress extends StepReport {
  /** Counted from 1. */
  step: number;
  lr: number;
  /** loss_image + text_weight · loss_text; a task that was absent adds nothing. */
  loss: number;
}

export interface Data extends Pictures {
  /** Not learned from: their loss tells what is understood and what only remembered. */
  heldOut?: readonly Item[];
}

/** A run of training on a loaded model, in whose tensors it works: the model draws and reads what it has learned so far. */
export class TrainingRun {
  /** Steps that are done. */
  done = 0;

  private constructor(
    private readonly model: MMAR,
    readonly settings: TrainingSettings,
    readonly optimiser: Optimiser,
    private readonly trainer: Trainer,
    private readonly batches: Batches,
    private readonly heldOut: readonly Item[],
  ) {}

  /**
   * Throws `usage` where nothing learns, or there is nothing to learn from.
   * @param recompute see `Trainer`
   */
  static async begin(
    model: MMAR,
    { heldOut = [], ...pictures }: Data,
    settings: TrainingSettings,
    learn: Learn,
    recompute = false,
  ): Promise<TrainingRun> {
    if (!pictures.items.length) throw new MMARError('usage', 'there is no picture to learn from; give one or more');
    const { device, system } = model;
    const batches = new Batches(settings, system.config, await model.tokenizer(), pictures, heldOut),
      optimiser = new Optimiser(device, chooseLearned(system.weights, learn, system.config), settings),
      graph = await graphOf(device, system, settings.draws),
      trainer = new Trainer(device, graph, optimiser, batches, settings.text_weight, recompute);
    await optimiser.begin();
    return new TrainingRun(model, settings, optimiser, trainer, batches, heldOut);
  }

  /**
   * Steps until `settings.steps` are done, each told a step late, so that the device never waits for the host; where `pause` says
   * so, told before the next one begins, so that it can be saved. Throws `device` where a loss is no number.
   */
  async *steps(pause: (step: number) => boolean, signal?: AbortSignal): AsyncGenerator<Progress> {
    let before: Promise<Progress> | undefined;
    try {
      while (this.done < this.settings.steps) {
        const n = this.done,
          lr = learningRate(this.settings, n);
        await this.trainer.gradients(this.batches.batch(n), signal);
        const { report } = await this.trainer.update(n, lr);
        this.done = n + 1;
        this.model.weightsChanged();
        const now = report.then((told) => this.progress(told, n + 1, lr));
        now.catch(() => {}); // it is thrown where it is awaited
        if (before) yield await before;
        before = now;
        if (pause(this.done)) {
          yield await before;
          before = undefined;
        }
      }
    } finally {
      // Stopped or not, a step that is done is told.
      if (before) yield await before;
    }
  }

  private progress(told: StepReport, step: number, lr: number): Progress {
    const loss = told.loss_image + this.settings.text_weight * told.loss_text;
    if (Number.isFinite(loss) && Number.isFinite(told.grad_norm)) return { ...told, step, lr, loss };
    throw new MMARError(
      'device',
      `step ${step}: the loss is ${loss}, the gradient's norm ${told.grad_norm}; resume from the last save with a lower --lr`,
    );
  }

  /** The losses of the held-out pictures, all drawn and all read, always with the same masks, times and noise. */
  async heldOutLosses(signal?: AbortSignal): Promise<Pick<StepReport, 'loss_image' | 'loss_text'> | undefined> {
    if (!this.heldOut.length) return undefined;
    const settings = { ...this.settings, batch: this.heldOut.length, conditional: 1, drop_prompt: 0 },
      every = (understanding: number) =>
        this.heldOut.map((_, i) => drawExample({ ...settings, understanding }, { items: this.heldOut }, 0, i));
    return this.trainer.losses(this.batches.of([...every(0), ...every(1)], 0), signal);
  }

  async release(): Promise<void> {
    await this.model.device.queue.idle();
    await this.trainer.release();
    await this.optimiser.release();
  }
}
