/** Ctrl-C: stops what runs through its signal; what has not stopped within a second is left behind. */
import { say } from './errors.ts';

const controller = new AbortController();
let received: 'SIGINT' | 'SIGTERM' = 'SIGINT';

/** Aborted when the user wants to stop. */
export const stop_signal = controller.signal;

/** What has to be cleaned up if the process is left in the middle. */
export const cleanups = new Set<() => void>();

/** Within a second, less the time that leaving takes. */
const patience_ms = 700;

export function stop_on_signals(): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) leave_stopped();
      received = name;
      controller.abort(new Error(name));
      setTimeout(leave_stopped, patience_ms);
    });
  }
}

/**
 * Ends the process as the signal would have: a shell sees 130 and stops its own script too. Not by `process.exit`,
 * which takes a driver's memory away while its threads still compute.
 */
export function leave_stopped(): void {
  for (const clean of cleanups) clean();
  say('stopped');
  process.removeAllListeners(received);
  process.kill(process.pid, received);
}
