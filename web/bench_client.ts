/** The page's side of the benchmark's worker: started when it is first needed, ended and started anew where it hangs. */
import { MMARError } from '../base/error.ts';
import { firstRunSeconds, noEnd } from '../bench/no_end.ts';
import type { BenchOptions } from '../bench/options.ts';
import type { Verdict } from '../bench/own.ts';
import type { Report } from '../bench/report.ts';
import type { SourceForm, Target } from '../bench/target.ts';
import { connectWorker, type WorkerEngine } from './client.ts';

/** Seconds that a run has for stopping when it is told to. */
const stopSeconds = 1;

let engine: WorkerEngine | undefined;

function call<T>(method: string, args: unknown[], signal?: AbortSignal, event?: (value: unknown) => void): Promise<T> {
  engine ??= connectWorker(new Worker(new URL('./bench-worker.js', import.meta.url), { type: 'module' }));
  return engine.call<T>(method, args, signal, event);
}

/** Leaves the worker and its device behind; the next call starts others. */
function abandon(): void {
  engine?.terminate();
  engine = undefined;
}

export interface BenchEvents {
  signal: AbortSignal;
  onProgress: (what: string) => void;
  onReport: (report: Report) => void;
}

/** Runs the benchmark; stops within a second of the signal, whatever the device is doing. */
export async function runInWorker(
  options: BenchOptions,
  { signal, onProgress, onReport }: BenchEvents,
): Promise<Report> {
  const late = () => setTimeout(abandon, stopSeconds * 1000);
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener('abort', () => (timer = late()));
  try {
    return await call<Report>('bench', [options], signal, (value) => {
      const { progress, report } = value as { progress?: string; report?: Report };
      if (progress) onProgress(progress);
      if (report) onReport(report);
    });
  } catch (error) {
    if (signal.aborted) throw new MMARError('cancelled', 'cancelled', { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The kernels of a model and their variants, as targets name them. */
export const targets = (config: string): Promise<string[]> => call('targets', [config]);

export const source = (target: Target, form: SourceForm): Promise<string> => call('source', [target, form]);

/** Tries a shader; one that does not end is left behind with its worker, and that is the error. */
export async function tryInWorker(wgsl: string, target: Target, signal: AbortSignal): Promise<Verdict> {
  let timer: ReturnType<typeof setTimeout> | undefined,
    endless = false;
  const stop = () => abandon();
  signal.addEventListener('abort', stop);
  try {
    return await call<Verdict>('tryShader', [wgsl, target], signal, (value) => {
      clearTimeout(timer);
      if (!(value as { running: boolean }).running) return;
      timer = setTimeout(() => {
        endless = true;
        abandon();
      }, firstRunSeconds * 1000);
    });
  } catch (error) {
    if (signal.aborted) throw new MMARError('cancelled', 'cancelled', { cause: error });
    throw endless ? noEnd('the shader') : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
