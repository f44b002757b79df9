import { answerTime } from '../engine/queue.ts';
import { whileWaiting } from './waiting.ts';

/** Seconds after which an answer is late. */
const late = 0.02;

/**
 * Firefox looks every 100 ms whether work is done, and whenever something is submitted. On devices that answer so late,
 * nothing is submitted again and again while one waits: after an eighth of the time waited so far, 10 ms at most.
 */
export const nudgeWhileWaiting = (adapter: GPUAdapter): void =>
  whileWaiting(adapter, nudgeDuring, async (device) => (await answerTime(device, late)) === undefined);

async function nudgeDuring<T>({ queue }: GPUDevice, work: Promise<T>): Promise<T> {
  const since = performance.now();
  let timer: ReturnType<typeof setTimeout>;
  const nudge = (): void => {
    queue.submit([]);
    timer = setTimeout(nudge, Math.min(10, 1 + (performance.now() - since) / 8));
  };
  timer = setTimeout(nudge, 1);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}
