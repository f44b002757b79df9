import type { Device } from '../engine/device.ts';
import { kernelsPart } from './kernels_part.ts';
import { Best, measureLimits } from './limits.ts';
import { modelPart } from './model_part.ts';
import type { BenchOptions } from './options.ts';
import { type Report, schema } from './report.ts';
import { BenchRun } from './running.ts';
import { Stopwatch } from './stopwatch.ts';

/** What a caller knows that the device does not tell. */
export interface About {
  /** The adapter's name. */
  name: string;
  /** What runs it: Node and Dawn, or the browser. */
  runtime: string;
  version: string;
}

/** Runs the benchmark on a device. Throws `cancelled` where the signal was aborted; what was found until then was reported. */
export async function runBench(device: Device, about: About, options: BenchOptions = {}): Promise<Report> {
  const watch = await Stopwatch.open(device),
    run = new BenchRun(watch, emptyReport(device, about, watch), options);
  try {
    const { only } = options,
      wants = (part: string) => !only || only.includes(part);
    const kernels = only?.filter((name) => !['limits', 'kernels', 'model'].includes(name)) ?? [];
    if (wants('limits') || wants('kernels') || kernels.length) await limitsPart(run);
    if (wants('kernels') || kernels.length) await kernelsPart(run, wants('kernels') ? undefined : kernels);
    if (wants('model')) await modelPart(run);
    return run.report;
  } finally {
    watch.destroy();
  }
}

/** The adapter's limits; what a quick run has no time for is named in a note. */
async function limitsPart(run: BenchRun): Promise<void> {
  const { quick, onProgress } = run.options,
    best = new Best();
  try {
    await run.timed('limits', (signal) => measureLimits(run.watch, best, { quick, signal, onProgress }));
  } catch (error) {
    run.orLate(error);
    const found = Object.keys(best.limits).join(', ') || 'none';
    run.note(`limits: ${found}; the others are left out`);
  }
  run.report.limits = best.limits;
  run.report.limit_spread = best.spread;
  run.found();
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
