/** Numerics: the curves of the rounding error, and the chessboard on this machine's device. */
import type { Prediction } from '../model/sampler.ts';
import { errorPlot } from '../numerics/error_plot.ts';
import type { NumberType } from '../numerics/number_types.ts';
import { errorRows } from '../numerics/theory.ts';
import type { WorkerEngine } from './client.ts';
import { duration, element } from './dom.ts';
import type { Loader } from './loading.ts';
import type { ChessboardCall, ChessboardState } from './protocol.ts';
import { showOn } from './stage.ts';
import { Stoppable } from './stoppable.ts';

const value = (id: string) => element<HTMLInputElement>(id).value;
const board = new Stoppable('board');

export function startNumerics(engine: WorkerEngine, loader: Loader): void {
  element('curves-form').addEventListener('input', showCurves);
  element('chessboard-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void board.run((signal) => run(engine, loader, signal));
  });
  showCurves();
}

/** Draws the curves that are ticked. */
function showCurves(): void {
  const ticked = new FormData(element<HTMLFormElement>('curves-form'));
  const angle = Number(value('angle'));
  const predictions = ticked.getAll('prediction').map((name) => (name === 'angle' ? angle : (name as Prediction)));
  const rows = errorRows(predictions, ticked.getAll('type') as NumberType[]);
  element('curves').innerHTML = errorPlot(rows);
  element('curves').firstElementChild!.setAttribute('aria-label', 'Rounding error over the time steps');
}

const settings = (): ChessboardCall => ({
  prediction: value('board-prediction') as Prediction,
  type: value('board-type') as NumberType,
  steps: Number(value('board-steps')),
  eta: Number(value('board-eta')),
  samples: Number(value('board-samples')),
  seed: Number(value('board-seed')),
});

async function run(engine: WorkerEngine, loader: Loader, signal: AbortSignal): Promise<void> {
  const { status } = board,
    call = settings(),
    canvas = element<HTMLCanvasElement>('board');
  status.textContent = 'Opening the device …';
  await loader.openDevice();
  const began = performance.now();
  const onState = ({ done, steps, picture }: ChessboardState) => {
    board.progress(done / steps, `Step ${done} of ${steps}, one half of them without rounding.`);
    if (picture) showOn(canvas, picture, 'Points on their way');
  };
  const { score, picture } = await engine.chessboard(call, onState, signal);
  const { samples, wrong, unrounded, drift } = score;
  showOn(canvas, picture, `${samples} points, ${call.prediction} in ${call.type}`);
  status.textContent = `${samples} points in ${duration((performance.now() - began) / 1000)}: drift ${drift.toExponential(2)}, ${percent(wrong)} off the cells (${percent(unrounded)} without rounding).`;
}

const percent = (share: number): string => `${(100 * share).toPrecision(2)} %`;
