import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { namedConfig } from './configs.ts';
import { madeModel, modelFigures } from './figures.ts';
import { measureShape } from './kernels.ts';
import { makeYardstick, measureLimits } from './limits.ts';
import { type KernelRow, type ModelRow, type Report, schema, shapeOf } from './report.ts';
import { matmulShape, type RecordedShape, recordShapes } from './shapes.ts';
import { Stopwatch } from './stopwatch.ts';
import { workOf } from './work.ts';

/** What a caller knows that the device does not tell. */
export interface About {
  /** The adapter's name. */
  name: string;
  /** What runs it: Node and Dawn, or the browser. */
  runtime: string;
  version: string;
}

export interface BenchOptions {
  /** `limits`, `kernels`, `model`, or names of kernels; all unless given. */
  only?: string[];
  /** Two minutes at most, with fewer samples of fewer shapes. */
  quick?: boolean;
  /** Whose whole is measured, and whose shapes: MMAR-0.5B and the carried model unless given. */
  config?: string;
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
  async kernels(names?: string[]): Promise<void> {
    const { watch, report } = this,
      { quick, onProgress } = this.options,
      signal = this.until('kernels');
    onProgress?.('recording the models');
    const shapes = inOrder(await this.shapes(names), report.limits),
      yardstick = await makeYardstick(watch.device);
    const options = { samples: quick ? 6 : 12, budget_ms: quick ? 250 : 1000, limits: report.limits, signal };
    let done = 0;
    try {
      for (const shape of shapes) {
        onProgress?.(`kernels: ${shape.dispatch.name}, ${done + 1} of ${shapes.length}`);
        report.kernels.push(...(await this.measured(shape, { ...options, yardstick: yardstick.program })));
        done++;
        this.found();
      }
    } catch (error) {
      this.orLate(error);
    } finally {
      yardstick.release();
    }
    if (done < shapes.length)
      report.notes.push(
        `${done} of the models’ ${shapes.length} shapes, those that take longest; a run without quick has all`,
      );
    report.kernels.sort(
      (a, b) => a.op.localeCompare(b.op) || shapeOf(a).localeCompare(shapeOf(b), 'en', { numeric: true }),
    );
  }

  /** A signal that stops a quick run's part when its time is over, as well as the caller's. */
  private until(part: 'kernels' | 'model'): AbortSignal | undefined {
    const { quick, signal } = this.options,
      left = 1000 * quickUntil[part] - (performance.now() - this.start);
    return quick
      ? AbortSignal.any([AbortSignal.timeout(Math.max(1, Math.round(left))), ...(signal ? [signal] : [])])
      : signal;
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

  private async shapes(names?: string[]): Promise<RecordedShape[]> {
    const { device } = this.watch,
      { config, quick, shapes: own } = this.options;
    if (own?.length) return Promise.all(own.map(([m, k, n]) => matmulShape(device, m, k, n)));
    const wanted = config ? [config] : ['emoji', 'mmar-0.5b', ...(quick ? [] : ['mmar-7b'])],
      all: RecordedShape[] = [];
    for (const name of wanted) all.push(...(await recordShapes(device, namedConfig(name), name)));
    const chosen = all.filter(({ dispatch }) => !names || names.includes(dispatch.name));
    if (names && !chosen.length) {
      const known = [...new Set(all.map(({ dispatch }) => dispatch.name))].sort();
      throw new MMARError(
        'usage',
        `no kernel is called ${names.join(' or ')}; give limits, kernels, model, or ${known.join(', ')}`,
      );
    }
    return chosen;
  }

  async model(): Promise<void> {
    const { device } = this.watch,
      { quick, onProgress } = this.options,
      signal = this.until('model');
    const name = this.options.config ?? (device.software && quick ? 'emoji' : 'mmar-0.5b');
    onProgress?.(`${name}: making the weights`);
    const model = await madeModel(device, namedConfig(name), name);
    try {
      const onRow = (row: ModelRow) => {
        this.report.model.push(row);
        this.found();
      };
      await modelFigures(model, name, { budget: quick ? 15 : 60, signal, onProgress, onRow });
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
