import { CommanderError } from 'commander';
import { MMARError } from '../base/error.ts';

/** Exit codes of the command line. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** Says in one line on stderr what went wrong; gives the exit code. */
export function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage; // it has spoken
  if (process.env.MMAR_DEBUG && error instanceof Error) console.error(error.stack);
  if (error instanceof MMARError) {
    say(error.message);
    return error.code === 'usage' ? exitCodes.usage : exitCodes.failed;
  }
  say(
    `unexpected: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)} (MMAR_DEBUG=1 shows where)`,
  );
  return exitCodes.failed;
}

/** One line on stderr, for people. */
export function say(line: string): void {
  process.stderr.write(`mmar: ${line.trim().replace(/\s+/g, ' ')}\n`);
}

/** A command that was used wrongly. */
export const usage = (message: string): MMARError => new MMARError('usage', message);
