import { MMARError } from '../base/error.ts';
import { namedConfig } from './configs.ts';
import { type KernelOptions, measureShape } from './kernels.ts';
import type { BenchModel } from './options.ts';
import { inOrder } from './order.ts';
import { makeYardstick } from './probes.ts';
import { type KernelRow, shapeOf } from './report.ts';
import type { BenchRun } from './running.ts';
import { matmulShape, type RecordedShape, recordShapes } from './shapes.ts';
import type { Stopwatch } from './stopwatch.ts';

/**
 * The kernels' part of a run.
 * @param names of kernels; all unless given
 */
export const kernelsPart = (run: BenchRun, names?: string[]): Promise<void> =>
  run.timed('kernels', (signal) => races(run, names, signal));

async function races(run: BenchRun, names?: string[], signal?: AbortSignal): Promise<void> {
  const { watch, report } = run,
    { quick, shapes = [] } = run.options,
    { program: yardstick, release } = await makeYardstick(watch);
  const how = { samples: quick ? 6 : 12, budget_ms: quick ? 250 : 1000, limits: report.limits, signal, yardstick };
  try {
    const own = await Promise.all(shapes.map((sizes) => matmulShape(watch.device, sizes)));
    if (own.length) await race(run, own, how);
    else await modelRaces(run, names, how);
  } finally {
    release();
  }
  const moved = report.kernels.filter((row) => row.moved).length;
  if (moved) run.note(`kernels: ${moved} of ${report.kernels.length} times moved by over 5 % during the run`);
  report.kernels.sort(
    (a, b) => a.op.localeCompare(b.op) || shapeOf(a).localeCompare(shapeOf(b), 'en', { numeric: true }),
  );
}

/** One model after another: a quick run whose time is over names those that it leaves out. */
async function modelRaces(run: BenchRun, names: string[] | undefined, how: KernelOptions): Promise<void> {
  const { watch, report } = run,
    { quick, onProgress } = run.options,
    known = new Set<string>();
  // Of ten variants some take a CPU many times as long as the rule's choice, and seconds to compile.
  const alone = quick && watch.device.software,
    fewer = (shape: RecordedShape) => (alone ? { ...shape, candidates: shape.candidates.slice(0, 1) } : shape);
  let late = false;
  for (const { name, json } of models(run)) {
    if (late) run.note(`kernels of ${name}: left out`);
    if (late) continue;
    onProgress?.(`kernels: recording what ${name} runs`);
    const all = await recordShapes(watch.device, json, name);
    for (const { dispatch } of all) known.add(dispatch.name);
    const chosen = all.filter(({ dispatch }) => !names || names.includes(dispatch.name)).map(fewer);
    late = !(await race(run, inOrder(chosen, report.limits, quick), how));
  }
  if (alone) run.note('kernels: the variant of each that is chosen here; the others are left out');
  const missing = names?.find((name) => !known.has(name));
  if (missing !== undefined && !how.signal?.aborted) throw noKernel(missing, known);
}

/** Measures one shape after another; false where a quick run's time was over before the last. */
async function race(run: BenchRun, shapes: RecordedShape[], how: KernelOptions): Promise<boolean> {
  const { watch, report } = run;
  let done = 0;
  try {
    for (const shape of shapes) {
      run.options.onProgress?.(`kernels of ${shape.model}: ${shape.dispatch.name}, ${done + 1} of ${shapes.length}`);
      report.kernels.push(...(await measured(watch, shape, how)));
      done++;
      run.found();
    }
    return true;
  } catch (error) {
    run.orLate(error);
    const left = [...new Set(shapes.slice(done).map(({ dispatch }) => dispatch.name))].sort().join(', '),
      those = `${done} of the ${shapes.length} shapes of ${shapes[0].model}`;
    run.note(`kernels: ${those}; left out are others of ${left}`);
    return false;
  }
}

/** Whose shapes are measured, the models that suit the device first. */
function models({ watch, options }: BenchRun): Pick<BenchModel, 'name' | 'json'>[] {
  const { model, config, quick } = options;
  if (model) return [model];
  const small = ['emoji', 'mmar-0.5b'],
    suited = watch.device.software ? small : small.reverse();
  return (config ? [config] : [...suited, ...(quick ? [] : ['mmar-7b'])]).map((name) => ({
    name,
    json: namedConfig(name),
  }));
}

/** A shape that fails is a row that says so: the others go on. */
async function measured(watch: Stopwatch, shape: RecordedShape, how: KernelOptions): Promise<KernelRow[]> {
  try {
    return await measureShape(watch, shape, how);
  } catch (error) {
    if (error instanceof MMARError && ['cancelled', 'device'].includes(error.code)) throw error;
    const { dispatch, model } = shape;
    return [{ op: dispatch.name, variant: dispatch.variant, model, ms: 0, spread: 0, error: (error as Error).message }];
  }
}

const noKernel = (name: string, known: Set<string>): MMARError =>
  new MMARError(
    'usage',
    `no kernel is called ${name}; give limits, kernels, model, or ${[...known].sort().join(', ')}`,
  );
