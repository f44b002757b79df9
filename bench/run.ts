import type { Device } from '../engine/device.ts';
import { type ConfigName, namedConfig } from './configs.ts';
import { madeModel, modelFigures } from './figures.ts';
import { measureLimits } from './limits.ts';
import { type ModelRow, type Report, schema } from './report.ts';
import { Stopwatch } from './stopwatch.ts';

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
  /** Whose whole is measured: MMAR-0.5B unless given, where `quick` asks a CPU the carried one. */
  config?: string;
  signal?: AbortSignal;
  /** What is being done. */
  onProgress?: (what: string) => void;
  /** The report so far, after each part of it. */
  onReport?: (report: Report) => void;
}

/** Runs the benchmark on a device. Throws `cancelled` where the signal was aborted; what was found until then was reported. */
export async function runBench(device: Device, about: About, options: BenchOptions = {}): Promise<Report> {
  const { only, signal, onProgress, onReport } = options,
    wants = (part: string) => !only || only.includes(part);
  const watch = await Stopwatch.open(device),
    report = emptyReport(device, about, watch);
  const found = () => onReport?.(report);
  try {
    if (wants('limits')) {
      const { spread, ...limits } = await measureLimits(watch, { signal, onProgress });
      report.limits = limits as unknown as Record<string, number>;
      report.limit_spread = spread;
      found();
    }
    if (wants('model')) {
      const name = options.config ?? defaultModel(device, options);
      onProgress?.(`${name}: making the weights`);
      const model = await madeModel(device, namedConfig(name), name);
      try {
        const onRow = (row: ModelRow) => {
          report.model.push(row);
          found();
        };
        await modelFigures(model, name, { budget: options.quick ? 15 : 60, signal, onProgress, onRow });
      } finally {
        await model.close();
      }
    }
    return report;
  } finally {
    watch.destroy();
  }
}

const defaultModel = (device: Device, { quick }: BenchOptions): ConfigName =>
  device.software && quick ? 'emoji' : 'mmar-0.5b';

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
