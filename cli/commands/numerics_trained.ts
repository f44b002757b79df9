import type { Picture } from '../../base/platform.ts';
import type { Device } from '../../engine/device.ts';
import { contactSheet } from '../../loaders/image.ts';
import { labelled } from '../../loaders/lettering.ts';
import type { Prediction } from '../../model/sampler.ts';
import { cellsAway, isOn } from '../../numerics/chessboard.ts';
import { nameOf } from '../../numerics/error_plot.ts';
import { type LearnedError, learnedErrors } from '../../numerics/learned_error.ts';
import { scatter } from '../../numerics/scatter.ts';
import type { Quadrant } from '../../shaders/chessboard.ts';
import { type BoardSampler, type BoardTraining, TrainedBoard } from '../../training/board.ts';
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
  skip: number[];
}

/** What one training draws in one way, as `--json` prints it. */
interface Row {
  prediction: Prediction;
  type: 'bf16' | 'f32';
  steps: number;
  eta: number;
  skip: number;
  seed: number;
  samples: number;
  /** The share of points off their class's cells. */
  wrong: number;
  /** The share of points farther from them than a cell is wide, where no blurred edge puts one. */
  astray: number;
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
  const [most, fewest] = [Math.max(...options.skip), Math.min(...options.steps)];
  if (most >= fewest) throw usage(`--skip is ${most}; give less than --steps, which is ${fewest}`);
  if (file) checkOutput(file, '.png');
  const pictures: Picture[] = [];
  const rows: Row[] = [];
  await withAdapter(options.adapter, async (device, adapter) => {
    for (const target of prediction) {
      for (const one of type as Row['type'][]) {
        for (const { picture, ...row } of await learned(device, target, one, options)) {
          rows.push({ ...row, adapter });
          const words = `${nameOf(target)} ${one}, ${row.steps - row.skip} of ${row.steps} steps`.replace('ε', 'eps');
          pictures.push(labelled(picture, words, 2));
        }
      }
    }
  });
  if (file) await writePicture(file, contactSheet(pictures, rows.length / prediction.length));
  if (json) console.log(JSON.stringify(rows.length === 1 ? rows[0] : rows));
  else print(rows);
}

async function learned(device: Device, prediction: Prediction, type: Row['type'], options: TrainedOptions) {
  const { trainSteps, batch, width, depth, lr, eta, seed, samples, json } = options;
  const training = { steps: trainSteps, batch, width, depth, lr };
  const progress = new Progress(json);
  const model = new TrainedBoard(device, { ...training, prediction, type, seed });
  try {
    let start = performance.now();
    progress.start(`${nameOf(prediction)} ${type} learns`, trainSteps);
    const loss = await model.train({ onStep: (done) => progress.update(done), signal: stopSignal });
    const predict = model.predict.bind(model);
    const errors = await learnedErrors(predict, prediction, type, { count: 250, times: 10, seed });
    const rows: (Omit<Row, 'adapter'> & { picture: Picture })[] = [];
    for (const how of options.steps.flatMap((steps) => options.skip.map((skip) => ({ steps, eta, skip })))) {
      progress.start(`${nameOf(prediction)} ${type} draws, ${how.steps} steps`, samples);
      const drawn = await score(model, samples, how, (done) => progress.update(done));
      const about = { prediction, type, ...how, seed, samples, ...drawn, loss, errors, training };
      rows.push({ ...about, seconds: secondsSince(start) });
      start = performance.now();
    }
    return rows;
  } finally {
    progress.stop();
    await model.release();
  }
}

/** Draws a quarter of the points of each class. */
async function score(model: TrainedBoard, samples: number, how: BoardSampler, onPoints: (done: number) => void) {
  const points: number[][] = [];
  let wrong = 0;
  let astray = 0;
  for (const quadrant of [0, 1, 2, 3] as Quadrant[]) {
    const before = points.length;
    const count = Math.floor((samples + 3 - quadrant) / 4);
    const onStep = (done: number) => onPoints(before + done);
    const drawn = await model.draw(count, quadrant, how, { onStep, signal: stopSignal });
    for (let i = 0; i < count; i++) {
      const point = [...drawn.subarray(2 * i, 2 * i + 2)];
      points.push(point);
      if (!isOn(point, quadrant)) wrong++;
      if (!(cellsAway(point, quadrant) <= 1)) astray++;
    }
  }
  const shown = points.filter((_, i) => i % Math.ceil(points.length / 100_000) === 0);
  return { wrong: wrong / samples, astray: astray / samples, picture: scatter(shown.flat()) };
}

function print(rows: Row[]): void {
  const cells = rows.map(({ prediction, type, steps, skip, wrong, astray, loss, errors, seconds }) => {
    const { learned, rounded } = errors.at(-1)!;
    return [
      `${nameOf(prediction)} ${type}`,
      loss.toFixed(4),
      String(steps),
      String(skip),
      wrong.toExponential(2),
      astray.toExponential(2),
      learned.toExponential(1),
      rounded.toExponential(1),
      `${seconds.toFixed(0)} s`,
    ];
  });
  const head = ['', 'loss', 'steps', 'left out', 'wrong', 'astray', 'error where all is noise', 'of rounding', 'time'];
  console.log(table([head, ...cells]).join('\n'));
}
