import { MMARError } from '../base/error.ts';
import { namedConfig } from './configs.ts';
import { modelFigures } from './figures.ts';
import type { BenchModel } from './options.ts';
import type { ModelRow } from './report.ts';
import type { BenchRun } from './running.ts';
import { madeModel } from './weights.ts';

/** Tokens of text that a quick run reads, and seconds that it takes for the steps of a drawing. */
const quickFigures = { text: 32, budget: 15 };

/** A whole model's part of a run. */
export async function modelPart(run: BenchRun): Promise<void> {
  const { device } = run.watch,
    { quick, config = device.software && quick ? 'emoji' : 'mmar-0.5b' } = run.options,
    model = run.options.model ?? made(run, config);
  try {
    await run.timed('model', (signal) => figures(run, model, signal));
  } catch (error) {
    if (error instanceof MMARError && error.code === 'adapter') run.note(`${model.name}: left out: ${error.message}`);
    else run.orLate(error);
  }
}

async function figures(run: BenchRun, { name, open }: BenchModel, signal?: AbortSignal): Promise<void> {
  const { quick, onProgress } = run.options;
  const onRow = (row: ModelRow) => {
    run.report.model.push(row);
    run.found();
  };
  onProgress?.(`${name}: bringing the weights onto the device`);
  const model = await open(run.watch.device, signal).catch((error) => {
    if (signal?.aborted) run.note(`${name}: left out: bringing its weights onto the device took all the time`);
    throw error;
  });
  try {
    const fewer = quick ? quickFigures : {};
    await modelFigures(model, name, { ...fewer, signal, onProgress, onRow, onNote: (note) => run.note(note) });
  } finally {
    await model.close();
  }
}

/** A model of a named config, its weights made on the device; a quick run does not merge them on software, which takes minutes. */
function made({ watch, options }: BenchRun, name: string): BenchModel {
  const { available, quick } = options,
    json = namedConfig(name),
    plora = quick && watch.device.software ? 'separate' : undefined;
  return { name, json, open: (device, signal) => madeModel(device, json, name, { plora, available, signal }) };
}
