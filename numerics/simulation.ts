import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import type { Prediction } from '../model/sampler.ts';
import { advance } from '../shaders/advance.ts';
import { chessboardScore } from '../shaders/chessboard_score.ts';
import { chessboardStep } from '../shaders/chessboard_step.ts';
import { normalNoise } from '../shaders/normal_noise.ts';
import { noiseStream, seedWords } from '../shaders/random.ts';
import { type BoardSettings, boardSteps, exactPoints, type Score, scorePoints, stepRow } from './chessboard.ts';
import type { NumberType } from './number_types.ts';

/** More than a board has: noise, and a step a number type. */
const mostPrograms = 16;

/** A score, and the share of points off their cells of the run that was not rounded. */
export type RunScore = Score & { unrounded: number };

export interface Watch {
  /** Called with the steps done, of how many; the run waits for it. */
  onStep?: (done: number, steps: number) => void | Promise<void>;
  signal?: AbortSignal;
}

/** The chessboard on a device, in f32: one number of points, steps and start noise, for any prediction and type. */
export class ChessboardRun {
  private readonly workspace: Workspace;
  /** f32 [samples / 2, 4]: where the last run ended. */
  private readonly x: Tensor;
  /** The same of the run whose output was not rounded. */
  private readonly wanted: Tensor;
  private readonly tables: { steps: Tensor; step: Tensor; seed: Tensor };
  private unrounded?: Promise<number>;
  /** Where the first points end in f64, unrounded. */
  private exact?: Float64Array;

  constructor(
    private readonly device: Device,
    readonly samples: number,
    readonly settings: BoardSettings,
  ) {
    if (!Number.isInteger(samples) || samples < 1)
      throw new MMARError('usage', `samples is ${samples}; give a whole number from 1 up`);
    boardSteps('x', settings.steps, settings.eta); // throws where there are no such steps
    this.workspace = new Workspace(device, mostPrograms);
    const make = this.workspace.tensor.bind(this.workspace);
    const quads = Math.ceil(samples / 2);
    this.x = make('points', 'f32', [quads, 4]);
    this.wanted = make('wanted', 'f32', [quads, 4]);
    this.tables = {
      steps: make('steps', 'f32', [settings.steps, 24]),
      step: make('step', 'u32', [1]),
      seed: make('seed', 'u32', [2]),
    };
    this.workspace.write(this.tables.seed, seedWords(settings.seed));
  }

  /** Runs all points with the output of `prediction` rounded to `type`, and before the first time once without rounding. */
  async run(prediction: Prediction, type: NumberType, { onStep, signal }: Watch = {}): Promise<RunScore> {
    const { steps } = this.settings;
    const runs = this.unrounded === undefined ? 2 : 1;
    this.unrounded ??= this.runUnrounded({ onStep: (done) => onStep?.(done, runs * steps), signal });
    const unrounded = await this.unrounded.catch((error: unknown) => {
      this.unrounded = undefined;
      throw error;
    });
    const watch = { onStep: (done: number) => onStep?.(done + (runs - 1) * steps, runs * steps), signal };
    await this.sample(prediction, type, watch);
    return { ...(await this.score()), unrounded };
  }

  /** The first n points of the last run, [n × 2]. */
  async points(n = this.samples): Promise<Float32Array> {
    return (await this.device.read(this.x)).subarray(0, 2 * Math.min(n, this.samples));
  }

  /** The same figures of the first n points in f64, with true rounding. */
  async check(prediction: Prediction, type: NumberType, n: number, signal?: AbortSignal): Promise<RunScore> {
    const count = Math.min(n, this.samples);
    if (this.exact?.length !== 2 * count) this.exact = await exactPoints(count, this.settings, undefined, signal);
    const points = await exactPoints(count, this.settings, { prediction, type }, signal);
    const { quadrant } = this.settings;
    const { wrong: unrounded } = scorePoints(this.exact, this.exact, quadrant);
    return { ...scorePoints(points, this.exact, quadrant), unrounded };
  }

  /** Leaves the points in `wanted`; gives the share of them that is off the cells. */
  private async runUnrounded(watch: Watch): Promise<number> {
    await this.sample('x', undefined, watch);
    this.device.copy(this.x, this.wanted);
    return (await this.score()).wrong;
  }

  /** The start noise. */
  private async begin(signal?: AbortSignal): Promise<void> {
    const noise = await this.workspace.program('noise', (p) => {
      p.part('chessboard');
      normalNoise(p, this.tables.seed, noiseStream, this.x);
    });
    await this.device.queue.run(noise, signal);
  }

  private async sample(prediction: Prediction, type: NumberType | undefined, { onStep, signal }: Watch): Promise<void> {
    const { device, workspace, tables } = this;
    const { eta, quadrant } = this.settings;
    const steps = boardSteps(prediction, this.settings.steps, eta);
    workspace.write(tables.steps, steps.flatMap(stepRow));
    workspace.write(tables.step, [0]);
    await this.begin(signal);
    const program = await workspace.program(`step ${type}`, (p) => {
      p.part('chessboard');
      chessboardStep(p, this.x, tables, { type, quadrant, noisy: eta > 0 });
      advance(p, tables.step, 1);
    });
    for (let done = 1; done <= steps.length; done++) {
      await device.queue.run(program, signal);
      await device.queue.pace(signal);
      await onStep?.(done, steps.length);
    }
    await device.queue.idle(signal);
  }

  private async score(): Promise<Score> {
    const { samples, settings } = this;
    const { sums } = await this.device.evaluate('score', (p) => ({
      sums: chessboardScore(p, this.x, this.wanted, samples, settings.quadrant),
    }));
    let [wrong, squares] = [0, 0];
    for (let i = 0; i < sums.length; i += 4) {
      wrong += sums[i];
      squares += sums[i + 1];
    }
    return { samples, wrong: wrong / samples, drift: Math.sqrt(squares / samples) };
  }

  /** Gives all memory back. */
  release(): Promise<void> {
    return this.workspace.release();
  }
}
