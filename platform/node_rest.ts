/** The main thread at rest while a software adapter works. */

import { whileWaiting } from './waiting.ts';

/**
 * Dawn's binding for Node asks for finished work in every turn of the event loop, without a pause, for as long as a promise
 * of it is open. With a software adapter that takes a whole processor from the very work that is awaited. On devices of
 * this adapter the main thread rests in each turn meanwhile: an eighth of the time waited so far, a millisecond at most.
 * What is answered within half a millisecond is heard at once: no system's sleep is shorter than some 60 µs.
 */
export const restWhileWaiting = (adapter: GPUAdapter): void => whileWaiting(adapter, restDuring);

const never = new Int32Array(new SharedArrayBuffer(4));
/** A shorter pause, in ms, would take as long. */
const leastPause = 0.06;
let open = 0,
  since = 0,
  turning = false;

async function restDuring<T>(_: GPUDevice, work: Promise<T>): Promise<T> {
  open++;
  since = performance.now();
  if (!turning) setImmediate(rest);
  turning = true;
  try {
    return await work;
  } finally {
    open--;
    since = performance.now(); // what follows may be quick
  }
}

function rest(): void {
  turning = open > 0;
  if (!turning) return;
  const pause = (performance.now() - since) / 8;
  if (pause >= leastPause) Atomics.wait(never, 0, 0, Math.min(1, pause));
  setImmediate(rest);
}
