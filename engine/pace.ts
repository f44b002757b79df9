/** Slices of work that are remembered. */
const remembered = 8;
/** Dispatches of a program of which nothing is known. */
const cautious = 8;

/**
 * How long a program's dispatches take, by its last slices that were timed. The slowest of these counts for nothing: a
 * laptop that slept, a driver that compiled or another program's work must not slow the program down for ever.
 */
export class Pace {
  private readonly slices: { dispatches: number; seconds: number }[] = [];

  add(dispatches: number, seconds: number): void {
    this.slices.push({ dispatches, seconds });
    if (this.slices.length > remembered) this.slices.shift();
  }

  /** Seconds of one dispatch; undefined while none was timed. */
  get each(): number | undefined {
    const rate = (slice: { dispatches: number; seconds: number }): number => slice.seconds / slice.dispatches;
    const inOrder = [...this.slices].sort((a, b) => rate(a) - rate(b)),
      counted = inOrder.slice(0, Math.max(1, inOrder.length - 1));
    const sum = (key: 'dispatches' | 'seconds'): number => counted.reduce((total, slice) => total + slice[key], 0);
    return counted.length ? sum('seconds') / sum('dispatches') : undefined;
  }

  /** Dispatches that take about as long; a few at first. */
  within(seconds: number): number {
    return this.each === undefined ? cautious : Math.max(1, seconds / this.each);
  }
}
