import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { MMAR } from '../model/mmar.ts';
import { namedConfig } from './configs.ts';
import { madeModel, modelFigures } from './figures.ts';
import { measureShape } from './kernels.ts';
import { measureLimits } from './limits.ts';
import { makeYardstick } from './probes.ts';
import { type KernelRow, type ModelRow, type Report, schema, shapeOf } from './report.ts';
import { matmulShape, type RecordedShape, recordShapes } from './shapes.ts';
import { Stopwatch } from './stopwatch.ts';
import { within } from './within.ts';
import { workOf } from './work.ts';

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
  /** Two minutes at most, with fewer samples of fewer shapes. */
  quick?: boolean;
  /** Whose whole is measured, and whose shapes: MMAR-0.5B and the carried model unless given. */
  config?: string;
  /** A checkpoint with weights of its own in place of a named config. */
  model?: BenchModel;
  /** Matrix products [m, k, n] in place of the models'. */
  shapes?: [number, number, number][];
  signal?: AbortSignal;
  /** What is being done. */
  onProgress?: (what: string) => void;
  /** The report so far, after each part of it. */
  onReport?: (report: Report) => void;
}

/** Seconds from its start after which a quick run leaves the kernels, and the model. */
const quickUntil = { kernels: 60, model: 110 };

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
    const { spread, ...limits } = await measureLimits(this.watch, this.options);
    this.report.limits = limits as unknown as Record<string, number>;
    this.report.limit_spread = spread;
    this.found();
  }

  /** @param names of kernels; all unless given */
  kernels(names?: string[]): Promise<void> {
    return this.timed('kernels', (signal) => this.races(names, signal));
  }

  private async races(names?: string[], signal?: AbortSignal): Promise<void> {
    const { watch, report } = this,
      { quick, shapes: own } = this.options,
      known = new Set<string>();
    const yardstick = await makeYardstick(watch);
    const options = { samples: quick ? 6 : 12, budget_ms: quick ? 250 : 1000, limits: report.limits, signal };
    const measured = { ...options, yardstick: yardstick.program };
    try {
      if (own?.length)
        await this.race(await Promise.all(own.map(([m, k, n]) => matmulShape(watch.device, m, k, n))), measured);
      else
        for (const { name, json } of this.models()) {
          this.options.onProgress?.(`kernels: recording what ${name} runs`);
          const all = await recordShapes(watch.device, json, name);
          for (const { dispatch } of all) known.add(dispatch.name);
          const chosen = all.filter(({ dispatch }) => !names || names.includes(dispatch.name));
          if (!(await this.race(inOrder(chosen, report.limits), measured))) break;
        }
    } finally {
      yardstick.release();
    }
    const missing = own?.length ? undefined : names?.find((name) => !known.has(name));
    if (missing !== undefined && !signal?.aborted) throw noKernel(missing, known);
    report.kernels.sort(
      (a, b) => a.op.localeCompare(b.op) || shapeOf(a).localeCompare(shapeOf(b), 'en', { numeric: true }),
    );
  }

  /** Measures one shape after another; false where a quick run's time was over before the last. */
  private async race(shapes: RecordedShape[], options: Parameters<typeof measureShape>[2]): Promise<boolean> {
    const { report } = this;
    let done = 0;
    try {
      for (const shape of shapes) {
        this.options.onProgress?.(`kernels of ${shape.model}: ${shape.dispatch.name}, ${done + 1} of ${shapes.length}`);
        report.kernels.push(...(await this.measured(shape, options)));
        done++;
        this.found();
      }
      return true;
    } catch (error) {
      this.orLate(error);
      const those = `${done} of the ${shapes.length} shapes of ${shapes[0].model}, those that take longest`;
      report.notes.push(`${those}; a run without quick has all`);
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
  private timed<T>(part: 'kernels' | 'model', work: (signal?: AbortSignal) => Promise<T>): Promise<T> {
    const { quick, signal } = this.options,
      left = 1000 * quickUntil[part] - (performance.now() - this.start);
    return quick ? within(left, signal, work) : work(signal);
  }

  /** Throws an error unless it is that a quick run's time was over. */
  private orLate(error: unknown): void {
    const { quick, signal } = this.options;
    if (!quick || signal?.aborted || !(error instanceof MMARError && error.code === 'cancelled')) throw error;
  }

  /** A shape that fails is a row that says so: the others go on. */
  private async measured(shape: RecordedShape, options: Parameters<typeof measureShape>[2]): Promise<KernelRow[]> {
    try {
      return await measureShape(this.watch, shape, options);
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
      { quick, onProgress } = this.options;
    const { name, open } =
      this.options.model ?? made(this.options.config ?? (device.software && quick ? 'emoji' : 'mmar-0.5b'));
    onProgress?.(`${name}: bringing the weights onto the device`);
    const model = await open(device, this.options.signal);
    try {
      const onRow = (row: ModelRow) => {
        this.report.model.push(row);
        this.found();
      };
      const budget = quick ? 15 : 60;
      const onNote = (note: string) => this.report.notes.push(note);
      await this.timed('model', (signal) => modelFigures(model, name, { budget, signal, onProgress, onRow, onNote }));
    } catch (error) {
      this.orLate(error);
      this.report.notes.push(`${name}: figures for which two minutes were enough; a run without quick has all`);
    } finally {
      await model.close();
    }
  }

  private found(): void {
    this.options.onReport?.(this.report);
  }
}

/** Each kernel's most costly shape first, then what else costs most: a run that is cut short has what matters. */
function inOrder(shapes: RecordedShape[], limits: Record<string, number>): RecordedShape[] {
  const cost = (shape: RecordedShape): number => {
    const { flops = 0, bytes } = workOf(shape);
    const ms = Math.max(flops / limits.fma_gflops, bytes / limits.read_gbps) / 1e6 + limits.dispatch_us / 1000;
    return Math.max(1, shape.calls) * ms;
  };
  const sorted = shapes.map((shape) => ({ shape, cost: cost(shape) })).sort((a, b) => b.cost - a.cost);
  const first = new Set<string>();
  const leads = sorted.filter(({ shape }) => !first.has(shape.dispatch.name) && first.add(shape.dispatch.name));
  return [...leads, ...sorted.filter((one) => !leads.includes(one))].map(({ shape }) => shape);
}

/** A model of a named config, its weights made on the device. */
function made(name: string): BenchModel {
  const json = namedConfig(name);
  return { name, json, open: (device) => madeModel(device, json, name) };
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
