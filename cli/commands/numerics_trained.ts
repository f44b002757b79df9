import type { Picture } from '../../base/platform.ts';
import type { Device } from '../../engine/device.ts';
import { contactSheet } from '../../loaders/image.ts';
import { labelled } from '../../loaders/lettering.ts';
import type { Prediction } from '../../model/sampler.ts';
import { isOn } from '../../numerics/chessboard.ts';
import { nameOf } from '../../numerics/error_plot.ts';
import { type LearnedError, learnedErrors } from '../../numerics/learned_error.ts';
import { scatter } from '../../numerics/scatter.ts';
import type { Quadrant } from '../../shaders/chessboard.ts';
import { type BoardTraining, TrainedBoard } from '../../training/board.ts';
import { usage } from '../errors.ts';
import { checkOutput, writePicture } from '../files.ts';
import { Progress, secondsSince, table } from '../progress.ts';
import { withAdapter } from '../session.ts';
import { stopSignal } from '../stop.ts';
import type { ChessboardOptions } from './numerics_chessboard.ts';

/** How a Diffusion MLP learns the board. */
export interface TrainedOptions extends ChessboardOptions {
  trainSteps: number;
  batch: number;
  width: number;
  depth: number;
  lr: number;
}

/** One training and what it draws, as `--json` prints it. */
interface Row {
  prediction: Prediction;
  type: 'bf16' | 'f32';
  steps: number;
  eta: number;
  seed: number;
  samples: number;
  /** The share of points off their class's cells. */
  wrong: number;
  loss: number;
  /** How far the output is from the exact one, over the time steps, beside its rounding. */
  errors: LearnedError[];
  training: Pick<BoardTraining, 'steps' | 'batch' | 'width' | 'depth' | 'lr'>;
  seconds: number;
  adapter: string;
}

/** Trains a model for each prediction and type, then draws a quarter of the points of each class with it. */
export async function trainedChessboard(options: TrainedOptions): Promise<void> {
  const { prediction, type, scatter: file, json } = options;
  if (type.includes('f16')) throw usage('--train learns in bf16 or f32, not in f16; give --type bf16,f32');
  if (file) checkOutput(file, '.png');
  const pictures: Picture[] = [];
  const rows: Row[] = [];
  await withAdapter(options.adapter, async (device, adapter) => {
    for (const target of prediction) {
      for (const one of type as Row['type'][]) {
        const { picture, ...row } = await learned(device, target, one, options);
        rows.push({ ...row, adapter });
        pictures.push(labelled(picture, `${nameOf(target)} ${one} learned`.replace('ε', 'eps'), 2));
      }
    }
  });
  if (file) await writePicture(file, contactSheet(pictures, type.length));
  if (json) console.log(JSON.stringify(rows.length === 1 ? rows[0] : rows));
  else print(rows);
}

async function learned(device: Device, prediction: Prediction, type: Row['type'], options: TrainedOptions) {
  const { trainSteps, batch, width, depth, lr, eta, seed, samples, json } = options;
  const [steps] = options.steps;
  const training = { steps: trainSteps, batch, width, depth, lr };
  const progress = new Progress(json);
  const start = performance.now();
  const model = new TrainedBoard(device, { ...training, prediction, type, seed });
  try {
    progress.start(`${nameOf(prediction)} ${type} learns`, trainSteps);
    const loss = await model.train({ onStep: (done) => progress.update(done), signal: stopSignal });
    const predict = model.predict.bind(model);
    const errors = await learnedErrors(predict, prediction, type, { count: 250, times: 10, seed });
    progress.start(`${nameOf(prediction)} ${type} draws`, samples);
    const points: number[][] = [];
    let wrong = 0;
    for (const quadrant of [0, 1, 2, 3] as Quadrant[]) {
      const before = points.length;
      const count = Math.floor((samples + 3 - quadrant) / 4);
      const onStep = (done: number) => progress.update(before + done);
      const drawn = await model.draw(count, quadrant, steps, eta, { onStep, signal: stopSignal });
      for (let i = 0; i < count; i++) {
        points.push([...drawn.subarray(2 * i, 2 * i + 2)]);
        if (!isOn(points.at(-1)!, quadrant)) wrong++;
      }
    }
    const shown = points.filter((_, i) => i % Math.ceil(points.length / 100_000) === 0);
    const about = { prediction, type, steps, eta, seed, samples, wrong: wrong / samples, loss, errors, training };
    return { ...about, seconds: secondsSince(start), picture: scatter(shown.flat()) };
  } finally {
    progress.stop();
    await model.release();
  }
}

function print(rows: Row[]): void {
  const cells = rows.map(({ prediction, type, wrong, loss, errors, seconds }) => {
    const { learned, rounded } = errors.at(-1)!;
    return [
      `${nameOf(prediction)} ${type}`,
      loss.toFixed(4),
      wrong.toExponential(2),
      learned.toExponential(1),
      rounded.toExponential(1),
      `${seconds.toFixed(0)} s`,
    ];
  });
  const head = ['', 'loss', 'wrong', 'error where all is noise', 'of rounding', 'time'];
  console.log(table([head, ...cells]).join('\n'));
}
