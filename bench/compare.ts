import { median } from './measure.ts';
import { kernelKey, type Report } from './report.ts';

/** One thing that two reports measured. */
export interface Change {
  what: string;
  before: number;
  after: number;
  unit: string;
  /** How many times as long (or as much) it is in the second report, what both runs share taken out. */
  ratio: number;
  /** What the ratio may be off by chance, as a factor over 1. */
  noise: number;
  /** Whether it is beyond the noise, and then for better or for worse. */
  verdict: 'same' | 'better' | 'worse';
}

export interface Comparison {
  /** Whether both reports are of one adapter in one kind of runtime. */
  sameAdapter: boolean;
  /** How many times as long everything took in the second report, on one adapter: the machine, not the code. */
  throughout: number;
  changes: Change[];
}

/** A ratio of less than this is never called a change, however quiet each run: where operands lie differs from run to run. */
const least = 1.15;
/**
 * Quartile distances that a median of so few samples may be off by: with these, of 20 pairs of runs of one kernel on lavapipe
 * none was called different, and of 20 with 1.3 times the work all were (`node tests/large/planted.mjs`).
 */
const distances = 1.75;

/**
 * What changed from one report to another, kernel by kernel and figure by figure. Two runs on one adapter are compared by
 * times relative to a fixed piece of work that was timed in between, so that a machine that is slower today is not code
 * that is; what all kernels share is said once and taken out of each.
 */
export function compareReports(before: Report, after: Report): Comparison {
  const sameAdapter = before.adapter.name === after.adapter.name && before.adapter.driver === after.adapter.driver;
  const earlier = new Map(before.kernels.filter(({ ms }) => ms > 0).map((row) => [kernelKey(row), row]));
  const pairs = after.kernels.flatMap((row) => {
    const old = row.ms > 0 ? earlier.get(kernelKey(row)) : undefined;
    if (!old) return [];
    const relative = sameAdapter && old.relative && row.relative;
    const [from, to, spreads] = relative
      ? [old.relative!, row.relative!, [old.relative_spread ?? 0, row.relative_spread ?? 0]]
      : [old.ms, row.ms, [old.spread, row.spread]];
    return [{ row, old, ratio: to / from, noise: noiseOf(spreads) }];
  });
  // One kernel that became slower is a change; all of them together, by as much, are a slower machine.
  const throughout = sameAdapter && pairs.length >= 8 ? median(pairs.map(({ ratio }) => ratio)) : 1;
  const changes = pairs.map(({ row, old, ratio, noise }): Change => {
    const own = ratio / throughout;
    return {
      what: kernelKey(row),
      before: old.ms,
      after: row.ms,
      unit: 'ms',
      ratio: own,
      noise,
      verdict: verdictOf(own, noise, true),
    };
  });
  return { sameAdapter, throughout, changes: [...changes, ...figures(before, after)] };
}

/** Limits and a model's figures: by their values, as there is nothing beside them to relate them to. */
function figures(before: Report, after: Report): Change[] {
  const limits = Object.entries(after.limits).flatMap(([key, value]) => {
    const [, what, unit] = /^(.*)_(\w+)$/.exec(key) ?? ['', key, ''];
    const spreads = [before.limit_spread[key] ?? 0, after.limit_spread[key] ?? 0];
    return changeOf(`limit ${what}`, unit, before.limits[key], value, spreads);
  });
  const model = after.model.flatMap(({ model, figure, value, unit, spread = 0 }) => {
    const old = before.model.find((row) => row.model === model && row.figure === figure && row.unit === unit);
    return changeOf(`${model}: ${figure}`, unit, old?.value, value, [old?.spread ?? 0, spread]);
  });
  return [...limits, ...model];
}

/** How a value changed, if both reports have it. */
function changeOf(what: string, unit: string, before: number | undefined, after: number, spreads: number[]): Change[] {
  if (!before || !after) return [];
  const ratio = after / before,
    noise = noiseOf(spreads);
  return [{ what, before, after, unit, ratio, noise, verdict: verdictOf(ratio, noise, isTime(unit)) }];
}

const isTime = (unit: string): boolean => /^(s|ms|us|MB|GB|dispatches)$/.test(unit);

const noiseOf = (spreads: number[]): number => Math.max(least, 1 + distances * Math.hypot(...spreads));

function verdictOf(ratio: number, noise: number, lessIsBetter: boolean): Change['verdict'] {
  if (ratio < noise && ratio > 1 / noise) return 'same';
  return ratio > 1 === lessIsBetter ? 'worse' : 'better';
}
