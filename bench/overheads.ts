import { checkCancelled } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
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

/** Bringing memory to the device and back: ms of each copy of so many bytes. */
export async function transfers(
  { gpu }: Device,
  signal?: AbortSignal,
): Promise<{ bytes: number; upload: number[]; readback: number[] }> {
  const bytes = 2 ** 24,
    host = new Uint8Array(bytes).fill(1),
    target = gpu.createBuffer({ size: bytes, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC }),
    staging = gpu.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const upload = async (): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < 4; i++) gpu.queue.writeBuffer(target, 0, host);
    await gpu.queue.onSubmittedWorkDone();
    return (performance.now() - start) / 4;
  };
  const readback = async (): Promise<number> => {
    const start = performance.now(),
      encoder = gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(target, 0, staging, 0, bytes);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    host.set(new Uint8Array(staging.getMappedRange()));
    staging.unmap();
    return performance.now() - start;
  };
  try {
    return { bytes, upload: await repeat(60, upload, signal), readback: await repeat(60, readback, signal) };
  } finally {
    target.destroy();
    staging.destroy();
  }
}

/** Times of so many runs, without the first; of six at least, and else of what half a second has room for. */
async function repeat(count: number, run: () => Promise<number>, signal?: AbortSignal): Promise<number[]> {
  await run();
  const times: number[] = [],
    start = performance.now();
  while (times.length < count) {
    checkCancelled(signal);
    times.push(await run());
    if (times.length >= 6 && performance.now() - start > 500) break;
  }
  return times;
}
