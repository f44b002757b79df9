/** What went wrong, for programs: the message says it to people. */
export type ErrorCode =
  | 'adapter' // no adapter, or one that is too small
  | 'device' // lost, out of memory, a validation error
  | 'shape' // an operand of the wrong shape or type
  | 'file' // absent, unreadable, truncated, hostile
  | 'checkpoint' // a tensor or a setting that is missing or wrong
  | 'picture' // an image that cannot be read
  | 'usage' // a wrong option or argument
  | 'cancelled'; // stopped through an AbortSignal

/** Every failure that mmar foresees: one line that names the thing, the value and the remedy. */
export class MMARError extends Error {
  override readonly name = 'MMARError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Throws the error of a cancelled run when `signal` was aborted. */
export function checkCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new MMARError('cancelled', 'cancelled', { cause: signal.reason });
}
