import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { MMAR } from '../model/mmar.ts';
import { namedConfig } from './configs.ts';
import { modelFigures } from './figures.ts';
import { type KernelOptions, measureShape } from './kernels.ts';
import { Best, measureLimits } from './limits.ts';
import { inOrder } from './order.ts';
import { makeYardstick } from './probes.ts';
import { type KernelRow, type ModelRow, type Report, schema, shapeOf } from './report.ts';
import { matmulShape, type RecordedShape, recordShapes } from './shapes.ts';
import type { Sizes } from './sizes.ts';
import { Stopwatch } from './stopwatch.ts';
import { madeModel } from './weights.ts';
import { within } from './within.ts';

/** What a caller knows that the device does not tell. */
export interface About {
  /** The adapter's name. */
  name: string;
  /** What runs it: Node and Dawn, or the browser. */
  runtime: string;
  version: string;
}

/** A model to benchmark. */
export interface BenchModel {
  name: string;
  /** Its config.json. */
  json: unknown;
  /** Brings it onto the device; the benchmark closes it. */
  open(device: Device, signal?: AbortSignal): Promise<MMAR>;
}

export interface BenchOptions {
  /** `limits`, `kernels`, `model`, or names of kernels; all unless given. */
  only?: string[];
  /** Two minutes at most, with fewer samples of fewer shapes; what has no time is named in a note. */
  quick?: boolean;
  /** Seconds from its start after which a quick run leaves each part; what it then does to its end takes some seconds more. */
  until?: { limits: number; kernels: number; model: number };
  /** Whose whole is measured, and whose shapes: MMAR-0.5B and the carried model unless given. */
  config?: string;
  /** A checkpoint with weights of its own in place of a named config. */
  model?: BenchModel;
  /** Matrix products in place of the models'. */
  shapes?: Sizes[];
  /** Bytes that the device can hold, where that is known. */
  available?: number;
  signal?: AbortSignal;
  /** What is being done. */
  onProgress?: (what: string) => void;
  /** The report so far, after each part of it. */
  onReport?: (report: Report) => void;
}

const quickUntil = { limits: 20, kernels: 50, model: 105 };

/** Tokens of text that a quick run reads, and seconds that it takes for the steps of a drawing. */
const quickFigures = { text: 32, budget: 15 };

/** Runs the benchmark on a device. Throws `cancelled` where the signal was aborted; what was found until then was reported. */
export async function runBench(device: Device, about: About, options: BenchOptions = {}): Promise<Report> {
  const watch = await Stopwatch.open(device),
    bench = new Bench(watch, emptyReport(device, about, watch), options);
  try {
    const { only } = options,
      wants = (part: string) => !only || only.includes(part);
    const kernels = only?.filter((name) => !['limits', 'kernels', 'model'].includes(name)) ?? [];
    if (wants('limits') || wants('kernels') || kernels.length) await bench.limits();
    if (wants('kernels') || kernels.length) await bench.kernels(wants('kernels') ? undefined : kernels);
    if (wants('model')) await bench.model();
    return bench.report;
  } finally {
    watch.destroy();
  }
}

class Bench {
  private readonly start = performance.now();

  constructor(
    private readonly watch: Stopwatch,
    readonly report: Report,
    private readonly options: BenchOptions,
  ) {}

  async limits(): Promise<void> {
    const { quick, onProgress } = this.options,
      best = new Best();
    try {
      await this.timed('limits', (signal) => measureLimits(this.watch, best, { quick, signal, onProgress }));
    } catch (error) {
      this.orLate(error);
      const found = Object.keys(best.limits).join(', ') || 'none';
      this.note(`limits: ${found}; the others are left out`);
    }
    this.report.limits = best.limits;
    this.report.limit_spread = best.spread;
    this.found();
  }

  /** @param names of kernels; all unless given */
  kernels(names?: string[]): Promise<void> {
    return this.timed('kernels', (signal) => this.races(names, signal));
  }

  private async races(names?: string[], signal?: AbortSignal): Promise<void> {
    const { watch, report } = this,
      { quick, shapes = [] } = this.options,
      { program: yardstick, release } = await makeYardstick(watch);
    const how = { samples: quick ? 6 : 12, budget_ms: quick ? 250 : 1000, limits: report.limits, signal, yardstick };
    try {
      const own = await Promise.all(shapes.map((sizes) => matmulShape(watch.device, sizes)));
      if (own.length) await this.race(own, how);
      else await this.modelRaces(names, how);
    } finally {
      release();
    }
    const moved = report.kernels.filter((row) => row.moved).length;
    if (moved) this.note(`kernels: ${moved} of ${report.kernels.length} times moved by over 5 % during the run`);
    report.kernels.sort(
      (a, b) => a.op.localeCompare(b.op) || shapeOf(a).localeCompare(shapeOf(b), 'en', { numeric: true }),
    );
  }

  /** One model after another: a quick run whose time is over names those that it leaves out. */
  private async modelRaces(names: string[] | undefined, how: KernelOptions): Promise<void> {
    const { watch, report } = this,
      { quick, onProgress } = this.options,
      known = new Set<string>();
    // Of ten variants some take a CPU many times as long as the rule's choice, and seconds to compile.
    const alone = quick && watch.device.software,
      fewer = (shape: RecordedShape) => (alone ? { ...shape, candidates: shape.candidates.slice(0, 1) } : shape);
    let late = false;
    for (const { name, json } of this.models()) {
      if (late) this.note(`kernels of ${name}: left out`);
      if (late) continue;
      onProgress?.(`kernels: recording what ${name} runs`);
      const all = await recordShapes(watch.device, json, name);
      for (const { dispatch } of all) known.add(dispatch.name);
      const chosen = all.filter(({ dispatch }) => !names || names.includes(dispatch.name)).map(fewer);
      late = !(await this.race(inOrder(chosen, report.limits, quick), how));
    }
    if (alone) this.note('kernels: the variant of each that is chosen here; the others are left out');
    const missing = names?.find((name) => !known.has(name));
    if (missing !== undefined && !how.signal?.aborted) throw noKernel(missing, known);
  }

  /** Measures one shape after another; false where a quick run's time was over before the last. */
  private async race(shapes: RecordedShape[], how: KernelOptions): Promise<boolean> {
    const { report } = this;
    let done = 0;
    try {
      for (const shape of shapes) {
        this.options.onProgress?.(`kernels of ${shape.model}: ${shape.dispatch.name}, ${done + 1} of ${shapes.length}`);
        report.kernels.push(...(await this.measured(shape, how)));
        done++;
        this.found();
      }
      return true;
    } catch (error) {
      this.orLate(error);
      const left = [...new Set(shapes.slice(done).map(({ dispatch }) => dispatch.name))].sort().join(', '),
        those = `${done} of the ${shapes.length} shapes of ${shapes[0].model}`;
      this.note(`kernels: ${those}; left out are others of ${left}`);
      return false;
    }
  }

  /** Whose shapes are measured, the models that suit the device first. */
  private models(): Pick<BenchModel, 'name' | 'json'>[] {
    const { model, config, quick } = this.options;
    if (model) return [model];
    const small = ['emoji', 'mmar-0.5b'],
      suited = this.watch.device.software ? small : small.reverse();
    return (config ? [config] : [...suited, ...(quick ? [] : ['mmar-7b'])]).map((name) => ({
      name,
      json: namedConfig(name),
    }));
  }

  /** Does a part of the run; in a quick one its signal comes when the part's time is over, too. */
  private timed<T>(part: keyof typeof quickUntil, work: (signal?: AbortSignal) => Promise<T>): Promise<T> {
    const { quick, signal, until = quickUntil } = this.options,
      left = 1000 * until[part] - (performance.now() - this.start);
    return quick ? within(left, signal, work) : work(signal);
  }

  /** Throws an error unless it is that a quick run's time was over. */
  private orLate(error: unknown): void {
    const { quick, signal } = this.options;
    if (!quick || signal?.aborted || !(error instanceof MMARError && error.code === 'cancelled')) throw error;
  }

  /** A shape that fails is a row that says so: the others go on. */
  private async measured(shape: RecordedShape, how: KernelOptions): Promise<KernelRow[]> {
    try {
      return await measureShape(this.watch, shape, how);
    } catch (error) {
      if (error instanceof MMARError && ['cancelled', 'device'].includes(error.code)) throw error;
      const { dispatch, model } = shape;
      return [
        { op: dispatch.name, variant: dispatch.variant, model, ms: 0, spread: 0, error: (error as Error).message },
      ];
    }
  }

  async model(): Promise<void> {
    const { device } = this.watch,
      { quick, config = device.software && quick ? 'emoji' : 'mmar-0.5b' } = this.options,
      model = this.options.model ?? this.made(config);
    try {
      await this.timed('model', (signal) => this.figures(model, signal));
    } catch (error) {
      if (error instanceof MMARError && error.code === 'adapter')
        this.note(`${model.name}: left out: ${error.message}`);
      else this.orLate(error);
    }
  }

  private async figures({ name, open }: BenchModel, signal?: AbortSignal): Promise<void> {
    const { quick, onProgress } = this.options;
    const onRow = (row: ModelRow) => {
      this.report.model.push(row);
      this.found();
    };
    onProgress?.(`${name}: bringing the weights onto the device`);
    const model = await open(this.watch.device, signal).catch((error) => {
      if (signal?.aborted) this.note(`${name}: left out: bringing its weights onto the device took all the time`);
      throw error;
    });
    try {
      const fewer = quick ? quickFigures : {};
      await modelFigures(model, name, { ...fewer, signal, onProgress, onRow, onNote: (note) => this.note(note) });
    } finally {
      await model.close();
    }
  }

  /** A model of a named config, its weights made on the device; a quick run does not merge them on software, which takes minutes. */
  private made(name: string): BenchModel {
    const { available, quick } = this.options,
      json = namedConfig(name),
      plora = quick && this.watch.device.software ? 'separate' : undefined;
    return { name, json, open: (device, signal) => madeModel(device, json, name, { plora, available, signal }) };
  }

  private note(text: string): void {
    this.report.notes.push(text);
  }

  private found(): void {
    this.options.onReport?.(this.report);
  }
}

const noKernel = (name: string, known: Set<string>): MMARError =>
  new MMARError(
    'usage',
    `no kernel is called ${name}; give limits, kernels, model, or ${[...known].sort().join(', ')}`,
  );

function emptyReport({ adapter }: Device, { name, runtime, version }: About, { clock }: Stopwatch): Report {
  const { vendor, architecture, device, driver, kind, features, limits } = adapter;
  return {
    schema,
    date: new Date().toISOString(),
    version,
    adapter: { name, vendor, architecture, device, driver, kind, runtime, features, limits },
    clock,
    limits: {},
    limit_spread: {},
    kernels: [],
    model: [],
    peers: [],
    notes: [],
  };
}
