import { MMARError } from '../base/error.ts';
import type { BenchOptions } from './options.ts';
import type { Report } from './report.ts';
import type { Stopwatch } from './stopwatch.ts';
import { within } from './within.ts';

/** Seconds from its start after which a quick run leaves each part. */
const quickUntil = { limits: 20, kernels: 50, model: 105 };

/** A run of the benchmark under way: what its parts share. */
export class BenchRun {
  private readonly start = performance.now();

  constructor(
    readonly watch: Stopwatch,
    readonly report: Report,
    readonly options: BenchOptions,
  ) {}

  /** Does a part of the run; in a quick one its signal comes when the part's time is over, too. */
  timed<T>(part: keyof typeof quickUntil, work: (signal?: AbortSignal) => Promise<T>): Promise<T> {
    const { quick, signal, until = quickUntil } = this.options,
      left = 1000 * until[part] - (performance.now() - this.start);
    return quick ? within(left, signal, work) : work(signal);
  }

  /** Throws an error unless it is that a quick run's time was over. */
  orLate(error: unknown): void {
    const { quick, signal } = this.options;
    if (!quick || signal?.aborted || !(error instanceof MMARError && error.code === 'cancelled')) throw error;
  }

  note(text: string): void {
    this.report.notes.push(text);
  }

  /** Tells who listens that there is more in the report. */
  found(): void {
    this.options.onReport?.(this.report);
  }
}
