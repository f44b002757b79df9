import { checkCancelled } from '../base/error.ts';
import type { Candidate, Program } from '../engine/program.ts';
import { type Contestant, type MeasureOptions, measure, median, spread, type Timing } from './measure.ts';
import { Operands } from './operands.ts';
import type { KernelRow } from './report.ts';
import { type RecordedShape, shapeWords } from './shapes.ts';
import type { Stopwatch } from './stopwatch.ts';
import { type Work, workOf } from './work.ts';

/** Where operands are as large as this, all copies of them together, no cache holds them from one run to the next. */
const beyondCaches = 2 ** 27,
  mostCopies = 6,
  /** Smaller operands lie in a cache in the model too: the kernel before has just written them. */
  smallBytes = 2 ** 20;

export interface KernelOptions extends MeasureOptions {
  limits?: Record<string, number>;
  /** A fixed piece of work that is timed in between: what runs of different hours are compared by. */
  yardstick: Program;
}

/** Times every candidate of a shape against the others, and tells whether each gives what the plain one does. */
export async function measureShape(
  watch: Stopwatch,
  shape: RecordedShape,
  options: KernelOptions,
): Promise<KernelRow[]> {
  const { device } = watch,
    bytes = Operands.bytes(shape);
  const count = bytes < smallBytes ? 1 : Math.min(mostCopies, Math.max(1, Math.ceil(beyondCaches / bytes)));
  const copies: Operands[] = [],
    programs: Program[][] = [];
  try {
    for (let i = 0; i < count; i++) copies.push(await Operands.make(device, shape));
    for (const candidate of shape.candidates) {
      checkCancelled(options.signal); // compiling may take seconds
      programs.push(await Promise.all(copies.map((c) => c.program(candidate))));
    }
    const agreements = await agreement(
      copies[0],
      shape.candidates,
      programs.map(([first]) => first),
      options.signal,
    );
    const contestants: Contestant[] = [[options.yardstick], ...programs];
    const [yard, ...timings] = await measure(watch, contestants, options);
    return shape.candidates.map(({ variant }, i) => ({
      ...rowOf(shape, variant, timings[i], yard, options.limits),
      ...(agreements[i] === undefined ? {} : { agrees: agreements[i] }),
    }));
  } finally {
    for (const program of programs.flat()) program.destroy();
    for (const operands of copies) operands.release();
  }
}

/** One variant's row of a report. */
export function rowOf(
  shape: RecordedShape,
  variant: string,
  { ms, spread: own, moved, samples }: Timing,
  yard: Timing,
  limits: Record<string, number> = {},
): KernelRow {
  const { dispatch, model, calls } = shape,
    { m, k, n } = dispatch.shape,
    work = workOf(shape),
    words = shapeWords(dispatch);
  const relative = samples.map((sample, i) => sample / yard.samples[i]);
  return {
    op: dispatch.name,
    ...(dispatch.name === 'matmul' ? { m: Number(m), k: Number(k), n: Number(n) } : {}),
    ...(words ? { shape: words } : {}),
    variant,
    model,
    part: dispatch.part,
    ...(calls ? { calls } : {}),
    ms,
    spread: own,
    relative: median(relative),
    relative_spread: spread(relative),
    ...(moved ? { moved } : {}),
    ...rates(work, ms, limits),
  };
}

function rates({ flops, bytes }: Work, ms: number, limits: Record<string, number>): Partial<KernelRow> {
  const gflops = flops && flops / ms / 1e6,
    gbps = bytes / ms / 1e6;
  const shares = [
    { bound: 'fma_gflops', share: (gflops ?? 0) / limits.fma_gflops },
    { bound: 'read_gbps', share: gbps / limits.read_gbps },
  ].filter(({ share }) => share > 0);
  const nearest = shares.sort((a, b) => b.share - a.share)[0];
  return { ...(gflops ? { gflops } : {}), gbps, ...nearest };
}

/** What the others' results are compared with: the simplest kernel, else the rule's choice. */
export const plainOf = (candidates: readonly Candidate[]): Candidate =>
  candidates.find(({ variant }) => variant === 'direct' || variant === 'row') ?? candidates[0];

/** For each candidate whether its results are the plain one's; undefined for that one itself. */
async function agreement(
  operands: Operands,
  candidates: Candidate[],
  programs: Program[],
  signal?: AbortSignal,
): Promise<(boolean | undefined)[]> {
  if (candidates.length < 2) return [undefined];
  const plain = candidates.indexOf(plainOf(candidates)),
    wanted = await operands.results(programs[plain]);
  const found: (boolean | undefined)[] = [];
  for (const [i, program] of programs.entries()) {
    checkCancelled(signal);
    found.push(i === plain ? undefined : difference(await operands.results(program), wanted) < tolerance);
  }
  return found;
}

/** Results are rounded to bf16 and sums taken in another order: what is farther off is wrong. */
export const tolerance = 0.03;

/** The largest difference of two elements, over the element or, where that is less, over the root mean square of all. */
export function difference(got: Float32Array[], want: Float32Array[]): number {
  let most = 0;
  want.forEach((values, n) => {
    let squares = 0;
    for (const value of values) squares += value ** 2;
    const size = Math.sqrt(squares / Math.max(1, values.length)) || 1;
    for (let i = 0; i < values.length; i++) {
      if (got[n][i] === values[i] || (Number.isNaN(got[n][i]) && Number.isNaN(values[i]))) continue;
      const off = Math.abs(got[n][i] - values[i]) / Math.max(Math.abs(values[i]), size);
      most = off >= 0 ? Math.max(most, off) : Infinity;
    }
  });
  return most;
}
