import type { Picture } from '../../base/platform.ts';
import { contactSheet } from '../../loaders/image.ts';
import { labelled } from '../../loaders/lettering.ts';
import type { Prediction } from '../../model/sampler.ts';
import type { Score } from '../../numerics/chessboard.ts';
import { nameOf } from '../../numerics/error_plot.ts';
import type { NumberType } from '../../numerics/number_types.ts';
import { scatter } from '../../numerics/scatter.ts';
import { ChessboardRun } from '../../numerics/simulation.ts';
import type { Quadrant } from '../../shaders/chessboard.ts';
import { checkOutput, writePicture } from '../files.ts';
import { Progress, secondsSince, table } from '../progress.ts';
import { withAdapter } from '../session.ts';
import { stopSignal } from '../stop.ts';

export interface ChessboardOptions {
  prediction: Prediction[];
  type: NumberType[];
  steps: number[];
  eta: number;
  samples: number;
  seed: number;
  class?: number;
  check: number;
  scatter?: string;
  adapter?: string;
  json?: boolean;
}

/** One run, as `--json` prints it. */
interface Row extends Score {
  prediction: Prediction;
  type: NumberType;
  steps: number;
  eta: number;
  seed: number;
  class?: number;
  /** The share of points off their cells of the run that was not rounded. */
  unrounded: number;
  /** The same figures of some of the points, in f64. */
  check?: Score & { unrounded: number };
  seconds: number;
  adapter: string;
}

/** Points drawn into a scatter plot: more would only make it dense. */
const plotted = 100_000;

export async function chessboard(options: ChessboardOptions): Promise<void> {
  if (options.scatter) checkOutput(options.scatter, '.png');
  const pictures: Picture[] = [];
  const rows: Row[] = [];
  await withAdapter(options.adapter, async (device, adapter) => {
    for (const steps of options.steps) {
      const { eta, seed, samples } = options;
      const run = new ChessboardRun(device, samples, {
        steps,
        eta,
        seed,
        quadrant: options.class as Quadrant | undefined,
      });
      for (const prediction of options.prediction) {
        for (const type of options.type) {
          const about = { prediction, type, steps, eta, seed, class: options.class };
          rows.push({ ...about, ...(await figures(run, about, options)), adapter });
          if (!options.scatter) continue;
          const words = `${nameOf(prediction)} ${type} ${steps} steps`.replace('ε', 'eps');
          pictures.push(labelled(scatter(await run.points(plotted), run.settings.quadrant), words, 2));
        }
      }
      await run.release();
    }
  });
  if (options.scatter) await writePicture(options.scatter, contactSheet(pictures, options.type.length));
  if (options.json) console.log(JSON.stringify(rows.length === 1 ? rows[0] : rows));
  else print(rows, options);
}

async function figures(
  run: ChessboardRun,
  { prediction, type, steps }: Pick<Row, 'prediction' | 'type' | 'steps'>,
  { json, check }: ChessboardOptions,
) {
  const progress = new Progress(json);
  const start = performance.now();
  try {
    progress.start(`${nameOf(prediction)} ${type}, ${steps} steps`, 2 * steps);
    const score = await run.run(prediction, type, { onStep: (done) => progress.update(done), signal: stopSignal });
    const seconds = secondsSince(start);
    progress.busy(`${check} points in f64`);
    const checked = check ? await run.check(prediction, type, check, stopSignal) : undefined;
    return { ...score, check: checked, seconds };
  } finally {
    progress.stop();
  }
}

function print(rows: Row[], { samples, eta, scatter, check }: ChessboardOptions): void {
  const [{ adapter }] = rows;
  const off = (share: number) => share.toExponential(1);
  const cells = rows.map((row) => [
    `${nameOf(row.prediction)} ${row.type}`,
    String(row.steps),
    off(row.wrong),
    off(row.unrounded),
    row.drift.toExponential(2),
    ...(row.check ? [off(row.check.wrong), row.check.drift.toExponential(2)] : []),
  ]);
  const head = ['', 'steps', 'wrong', 'unrounded', 'drift', ...(check ? ['wrong in f64', 'drift in f64'] : [])];
  console.log(table([head, ...cells]).join('\n'));
  console.log(
    `\n${samples} points${check ? `, ${Math.min(check, samples)} of them in f64` : ''}, eta ${eta}, on ${adapter}`,
  );
  if (scatter) console.log(scatter);
}
