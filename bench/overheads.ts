import { checkCancelled } from '../base/error.ts';
import type { Program } from '../engine/program.ts';
import type { Stopwatch } from './stopwatch.ts';

/** Rounds of samples, and the ms of each kind in one: what disturbs one kind for a moment disturbs them all alike. */
const rounds = 8,
  roundMs = 50,
  /** Where one sample takes so long that the rounds take more than these, no round is begun after the second. */
  patienceMs = 3000;

/**
 * What it costs to dispatch, to submit and to hear that work is done, samples in ms each. A batch is short: while a long one
 * runs, the host goes to sleep, and on a CPU each dispatch then wakes a core that does, which takes longer than the dispatch.
 */
export async function overheads(
  watch: Stopwatch,
  nothing: Program,
  signal?: AbortSignal,
): Promise<Record<'dispatch' | 'submit' | 'wait', number[]>> {
  const { device, clock } = watch;
  const submissions = async (count: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      await device.queue.run(nothing);
      device.queue.submit();
    }
    await device.gpu.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  const waits = async (count: number): Promise<number> => {
    let ms = 0;
    for (let i = 0; i < count; i++) ms += await submissions(1);
    return ms;
  };
  const dispatches = async (count: number): Promise<number> => count * (await watch.time([nothing], count, signal));
  const byHost = coarse * hostStep(),
    byDevice = clock.kind === 'timestamps' ? (coarse * clock.grid_ns) / 1e6 : clock.sample_ms;
  const kinds = {
    dispatch: { batch: dispatches, count: await atOnce(dispatches, 16, byDevice) },
    submit: { batch: submissions, count: await atOnce(submissions, 25, byHost) },
    wait: { batch: waits, count: await atOnce(waits, 1, byHost) },
  };
  const found = { dispatch: [] as number[], submit: [] as number[], wait: [] as number[] },
    start = performance.now();
  for (let round = 0; round < rounds; round++) {
    checkCancelled(signal);
    if (round >= 2 && performance.now() - start > patienceMs) break;
    for (const kind of ['dispatch', 'submit', 'wait'] as const) {
      const { batch, count } = kinds[kind],
        begun = performance.now();
      do found[kind].push((await batch(count)) / count);
      while (performance.now() - begun < roundMs);
    }
  }
  return found;
}

/** A clock's step is at most one in so many parts of what it times. */
const coarse = 50;

/** So many at once, `least` or more, that a batch takes so many ms. */
async function atOnce(batch: (count: number) => Promise<number>, least: number, ms: number): Promise<number> {
  await batch(least); // pages are touched, and drivers that compile late have done so
  for (let count = least; ; count *= 2) if ((await batch(count)) >= ms || count > 10_000) return count;
}

/** The step of the host's clock in ms: coarse in a browser. */
function hostStep(): number {
  let step = Infinity;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    step = Math.min(step, now - start);
  }
  return step;
}
