import type { Command } from 'commander';
import type { Prediction } from '../../model/sampler.ts';
import { mmarOf } from '../../model/variants/index.ts';
import { errorPlot, nameOf } from '../../numerics/error_plot.ts';
import { measuredRows } from '../../numerics/measure.ts';
import { type NumberType, numberTypes } from '../../numerics/number_types.ts';
import { type ErrorRow, errorRows } from '../../numerics/theory.ts';
import { type CheckpointOptions, withCheckpoint } from '../checkpoint.ts';
import { usage } from '../errors.ts';
import { checkOutput, writeText } from '../files.ts';
import { count, option, real, someText } from '../options.ts';
import { Progress, table } from '../progress.ts';
import { withModel } from '../session.ts';
import { chessboard } from './numerics_chessboard.ts';
import { type TrainedOptions, trainedChessboard } from './numerics_trained.ts';

interface ErrorOptions {
  prediction: Prediction[];
  type: NumberType[];
  steps: number;
  plot?: string;
  json?: boolean;
}

interface MeasureOptions extends ErrorOptions, CheckpointOptions {
  adapter?: string;
  prompt: string;
  seed: number;
}

const predictionHelp = 'v, epsilon, x or an angle in radians; some, with commas';
const typeHelp = 'bf16, f16 or f32; some, with commas';

export function addNumerics(program: Command): void {
  const numerics = program
    .command('numerics')
    .description('What rounding does to a diffusion: the paper’s error analysis (docs/numerics.md).');
  const all = numberTypes.join(',');
  numerics
    .command('error')
    .description('The theory: the error of a step over the time steps (Eq. 18, 23, 27).')
    .addOption(
      option('--prediction <names>', predictionHelp, predictions).default(['v', 'epsilon', 'x'], 'v,epsilon,x'),
    )
    .addOption(option('--type <names>', typeHelp, types).default([...numberTypes], all))
    .addOption(option('--steps <n>', 'steps of the 1000', count(2, 1000)).default(1000))
    .addOption(option('--plot <file>', 'an SVG to write', someText))
    .option('--json', 'print the rows as one JSON array')
    .action(error);
  withCheckpoint(numerics.command('measure').description("The same, measured on a checkpoint's Diffusion MLP in f32."))
    .addOption(option('--adapter <name>', 'hardware, swiftshader, lavapipe, or a part of a name', someText))
    .addOption(
      option('--prediction <names>', predictionHelp, predictions).default(['v', 'epsilon', 'x'], 'v,epsilon,x'),
    )
    .addOption(option('--type <names>', typeHelp, types).default([...numberTypes], all))
    .addOption(option('--steps <n>', 'how many time steps to look at', count(2)).default(50))
    .addOption(option('--prompt <words>', 'the picture that is noised', (_, text) => text).default('red apple'))
    .addOption(option('--seed <n>', 'of the picture and the noise', count(0)).default(1))
    .addOption(option('--plot <file>', 'an SVG to write: dots over the lines of the theory', someText))
    .option('--json', 'print the rows as one JSON array')
    .action(measure);
  numerics
    .command('chessboard')
    .description('Points of a chessboard drawn with its exact denoiser, the output rounded.')
    .addOption(option('--prediction <names>', predictionHelp, predictions).default(['v'], 'v'))
    .addOption(option('--type <names>', typeHelp, types).default(['bf16'], 'bf16'))
    .addOption(option('--steps <numbers>', 'of the 1000; some, with commas', counts(1, 1000)).default([100], '100'))
    .addOption(option('--eta <x>', '0 is DDIM, 1 is DDPM', real(0, 1)).default(0))
    .addOption(option('--samples <n>', 'points', count(1, 2 ** 26)).default(1_000_000))
    .addOption(option('--seed <n>', 'of the noise', count(0)).default(1))
    .addOption(
      option('--class <n>', 'the quadrant, 0 to 3, whose cells the denoiser knows (default: all)', count(0, 3)),
    )
    .addOption(option('--check <n>', 'so many of the points in f64 on the CPU too', count(0)).default(10_000))
    .addOption(option('--scatter <file>', 'a PNG to write: where the points end', someText))
    .addOption(option('--adapter <name>', 'hardware, swiftshader, lavapipe, or a part of a name', someText))
    .option('--train', 'with a Diffusion MLP that learns the board in that type, in place of the exact denoiser')
    .addOption(option('--train-steps <n>', 'steps that it learns', count(1)).default(5000))
    .addOption(option('--batch <n>', 'points a step that it learns', count(1)).default(1024))
    .addOption(option('--width <n>', 'of that MLP', count(4)).default(128))
    .addOption(option('--depth <n>', 'blocks of that MLP', count(1)).default(3))
    .addOption(option('--lr <x>', 'its learning rate', real(0)).default(1e-3))
    .addOption(
      option('--skip <numbers>', 'first steps left out as it draws; some, with commas', counts(0)).default([0], '0'),
    )
    .option('--json', 'print one JSON object, or an array of them')
    .action((options: TrainedOptions & { train?: boolean }) =>
      options.train ? trainedChessboard(options) : chessboard(options),
    );
}

/** Predictions with commas between them. */
function predictions(name: string, text: string): Prediction[] {
  return text.split(',').map((one) => {
    if (one === 'v' || one === 'epsilon' || one === 'x') return one;
    const angle = /^-?(\d+\.?\d*|\.\d+)$/.test(one) ? Number(one) : NaN;
    if (Number.isFinite(angle)) return angle;
    throw usage(`${name} is ${JSON.stringify(text)}; give v, epsilon, x or an angle in radians, some with commas`);
  });
}

function types(name: string, text: string): NumberType[] {
  const named = text.split(',') as NumberType[];
  if (named.every((one) => numberTypes.includes(one))) return named;
  throw usage(`${name} is ${JSON.stringify(text)}; give ${numberTypes.join(' or ')}, some with commas`);
}

const counts = (least: number, most?: number) => (name: string, text: string) =>
  text.split(',').map((one) => count(least, most)(name, one));

async function error(options: ErrorOptions): Promise<void> {
  if (options.plot) checkOutput(options.plot, '.svg');
  const rows = errorRows(options.prediction, options.type, { steps: options.steps });
  if (options.plot) await writeText(options.plot, errorPlot(rows));
  show(rows, options);
}

async function measure(options: MeasureOptions): Promise<void> {
  if (options.plot) checkOutput(options.plot, '.svg');
  const { prediction, type, steps, prompt, seed } = options;
  const progress = new Progress(options.json);
  await withModel({ ...options, precision: 'f32' }, async ({ model, signal }) => {
    progress.start('measuring', steps);
    const rows = await measuredRows(model, {
      prompt,
      seed,
      times: steps,
      predictions: prediction,
      types: type,
      onTime: (done) => progress.update(done),
      signal,
    }).finally(() => progress.stop());
    const { timesteps } = mmarOf(model.system).config.diffusion;
    if (options.plot) await writeText(options.plot, errorPlot(errorRows(prediction, type, { timesteps }), rows));
    show(rows, options);
  });
}

/** All rows as JSON, or some ten time steps of each prediction and type as a table. */
function show(rows: ErrorRow[], { json, plot, steps }: ErrorOptions): void {
  if (json) {
    console.log(JSON.stringify(rows));
    return;
  }
  const stride = Math.ceil((steps - 1) / 10);
  const some = rows.filter((_, i) => (i % steps) % stride === 0 || i % steps === steps - 1);
  const cells = some.map((row) => [
    `${nameOf(row.prediction)} ${row.type}`,
    String(row.t),
    ...[row.step_error, row.unit_error, row.v_loss].map((value) => value.toExponential(2)),
  ]);
  console.log(table([['prediction', 't', 'step error', 'unit error', 'v-loss'], ...cells]).join('\n'));
  if (plot) console.log(`\n${plot}`);
}
