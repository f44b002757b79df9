/** Ctrl-C: stops what runs through its signal; what has not stopped within a second is left behind. */
import { say } from './errors.ts';

const controller = new AbortController();
let received: 'SIGINT' | 'SIGTERM' = 'SIGINT';

/** Aborted when the user wants to stop. */
export const stopSignal = controller.signal;

/** What has to be cleaned up if the process is left in the middle. */
export const cleanups = new Set<() => void>();

/** What must be finished even so, such as saving: leaving waits for it, up to a second signal. */
export const unfinished = new Set<Promise<unknown>>();

/** Within a second, less the time that leaving takes. */
const patienceMs = 700;

export function stopOnSignals(): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) leaveStopped();
      received = name;
      controller.abort(new Error(name));
      setTimeout(() => Promise.allSettled(unfinished).then(leaveStopped), patienceMs);
    });
  }
}

/**
 * Ends the process as the signal would have: a shell sees 130 and stops its own script too. Not by `process.exit`,
 * which takes a driver's memory away while its threads still compute.
 */
export function leaveStopped(): void {
  for (const clean of cleanups) clean();
  say('stopped');
  process.removeAllListeners(received);
  process.kill(process.pid, received);
}
