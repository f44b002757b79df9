import { checkCancelled, MMARError } from '../base/error.ts';

/** Lets one call at a time use what cannot be shared, in the order in which they came. */
export class Turns {
  private readonly waiting: { begin: () => void; refuse: (error: Error) => void }[] = [];
  private taken = false;
  private closed: MMARError | undefined;
  /** Ends the stream whose reader has its last step and has not asked for the next. */
  private stopPaused: (() => void) | undefined;

  /** Waits for a turn; gives the function that ends it. Throws `cancelled` where `signal` was aborted meanwhile. */
  async take(signal?: AbortSignal): Promise<() => void> {
    if (this.closed) throw this.closed;
    checkCancelled(signal);
    if (this.taken) await this.wait(signal);
    this.taken = true;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      const next = this.waiting.shift();
      if (next) next.begin();
      else this.taken = false;
    };
  }

  /** Runs `work` in a turn of its own. */
  async during<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const done = await this.take(signal);
    try {
      return await work();
    } finally {
      done();
    }
  }

  /**
   * Hands out a stream in a turn of its own. Where `close` finds it waiting for its reader, which may itself wait for
   * `close`, the stream ends there, and its reader is told so at the next step.
   */
  async *stream<T, R>(start: () => AsyncGenerator<T, R>, signal?: AbortSignal): AsyncGenerator<T, R> {
    const done = await this.take(signal);
    const steps = start();
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped = steps.return(undefined as never).then(done, done);
    };
    try {
      for (;;) {
        const step = await steps.next();
        if (step.done) return step.value;
        this.pause(stop);
        yield step.value;
        this.stopPaused = undefined;
        if (stopped) throw this.closed;
      }
    } finally {
      this.stopPaused = undefined;
      await (stopped ?? steps.return(undefined as never));
      done();
    }
  }

  /** Refuses all that wait and all that come, and waits until what runs has ended. */
  async close(reason: MMARError): Promise<void> {
    this.closed ??= reason;
    for (const { refuse } of this.waiting.splice(0)) refuse(reason);
    if (!this.taken) return;
    const ended = new Promise<void>((begin) => this.waiting.push({ begin, refuse: () => {} }));
    if (this.stopPaused) this.pause(this.stopPaused);
    await ended;
  }

  /** A reader that only collects asks for the next step at once: its stream goes on to its end. */
  private pause(stop: () => void): void {
    this.stopPaused = stop;
    if (!this.closed) return;
    setTimeout(() => {
      if (this.stopPaused !== stop) return;
      this.stopPaused = undefined;
      stop();
    });
  }

  private wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        reject(new MMARError('cancelled', 'cancelled', { cause: signal?.reason }));
      };
      const settle =
        <A extends unknown[]>(then: (...values: A) => void) =>
        (...values: A) => {
          signal?.removeEventListener('abort', abort);
          then(...values);
        };
      const entry = { begin: settle(resolve), refuse: settle(reject) };
      signal?.addEventListener('abort', abort);
      this.waiting.push(entry);
    });
  }
}
