/** Does some work with a signal that comes after so many ms, or with the caller's. */
export async function within<T>(
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // Not AbortSignal.any and timeout: Node lets go of such signals before they come, and takes whole milliseconds alone.
  const controller = new AbortController(),
    stop = () => controller.abort(),
    timer = setTimeout(stop, Math.max(0, ms));
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
