/** Ctrl-C: stops what runs through its signal; what has not stopped within a second is left behind. */
import { exit_codes, say } from './errors.ts';

const controller = new AbortController();

/** Aborted when the user wants to stop. */
export const stop_signal = controller.signal;

/** Over SIGINT's usual second, less the time that leaving takes. */
const patience_ms = 700;

export function stop_on_signals(): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) leave();
      controller.abort(new Error(name));
      setTimeout(leave, patience_ms);
    });
  }
}

function leave(): never {
  say('stopped');
  process.exit(exit_codes.stopped);
}
