import { checkCancelled } from '../base/error.ts';
import type { Program } from '../engine/program.ts';
import type { Stopwatch } from './stopwatch.ts';

/** What is timed against others: one program, or copies of it whose operands lie elsewhere, run in turn. */
export type Contestant = readonly Program[];

export interface Timing {
  /** The median of the samples, each a batch's mean time of one run. */
  ms: number;
  /** The distance between the samples' quartiles, as a part of the median. */
  spread: number;
  /** The second half of the samples over the first, where they are more than 5 % apart. */
  moved?: number;
  samples: number[];
}

export interface MeasureOptions {
  /** Samples of each contestant, at most. */
  samples?: number;
  /** Milliseconds after which no round is begun, `leastSamples` apart. */
  budget_ms?: number;
  signal?: AbortSignal;
}

const leastSamples = 4,
  mostRuns = 20_000,
  settled = 0.05,
  mostWarmups = 6,
  /** So many times slower than the best, and slow enough to be a batch by itself: two samples tell enough. */
  hopeless = 4;

/**
 * Times contestants against one another: each is warmed up until two batches agree, then all take one batch a round, the
 * order turned round each time, so that a clock that drifts or a neighbour that works meets all of them alike.
 */
export async function measure(
  watch: Stopwatch,
  contestants: readonly Contestant[],
  { samples = 12, budget_ms = 1500, signal }: MeasureOptions = {},
): Promise<Timing[]> {
  const batches: number[] = [],
    once: number[] = [],
    times: number[][] = contestants.map(() => []);
  for (const programs of contestants) {
    const { runs, ms } = await warmUp(watch, programs, signal);
    batches.push(runs);
    once.push(ms);
  }
  const best = Math.min(...once.slice(1)); // the first sets the pace, it is in no race
  const start = performance.now();
  for (let round = 0; round < samples; round++) {
    if (round >= leastSamples && performance.now() - start > budget_ms * contestants.length) break;
    const order = contestants.map((_, i) => (round % 2 ? contestants.length - 1 - i : i));
    for (const i of order) {
      const beaten = once[i] > hopeless * best && batches[i] === 1 && round >= 2;
      if (!beaten) times[i].push(await watch.time(contestants[i], batches[i], signal));
    }
  }
  return times.map(timing);
}

/** Runs batches until two agree within 5 %; returns how many runs one sample takes, and how long one did. */
async function warmUp(
  watch: Stopwatch,
  programs: Contestant,
  signal?: AbortSignal,
): Promise<{ runs: number; ms: number }> {
  await watch.time(programs, 1, signal); // pages are touched, and drivers that compile late have done so
  let last = await watch.time(programs, 1, signal),
    runs = 1;
  for (let i = 0; i < mostWarmups; i++) {
    checkCancelled(signal);
    runs = Math.min(mostRuns, Math.max(1, Math.ceil(watch.clock.sample_ms / Math.max(last, 1e-4))));
    if (last * runs > 10 * watch.clock.sample_ms) break; // so slow that a batch is one run: it has warmed up by now
    const now = await watch.time(programs, runs, signal);
    const steady = Math.abs(now / last - 1) < settled;
    last = now;
    if (steady && now * runs >= 0.7 * watch.clock.sample_ms) break;
  }
  return { runs, ms: last };
}

export function timing(samples: number[]): Timing {
  const ms = median(samples),
    half = Math.floor(samples.length / 2);
  const ratio = half ? median(samples.slice(-half)) / median(samples.slice(0, half)) : 1;
  return { ms, spread: spread(samples), ...(Math.abs(ratio - 1) > 0.05 ? { moved: ratio } : {}), samples };
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The distance between the quartiles over the median. */
export const spread = (values: readonly number[]): number =>
  (quantile(values, 0.75) - quantile(values, 0.25)) / quantile(values, 0.5);

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b),
    at = q * (sorted.length - 1),
    low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}
