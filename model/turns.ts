import { checkCancelled, MMARError } from '../base/error.ts';

/** So long a stream's reader may stay away, in ms, before another call that waits goes ahead. */
const patience = 30;

interface Waiting {
  begin: () => void;
  refuse: (error: Error) => void;
  /** It is a stream that has begun already. */
  resumes: boolean;
}

/** A stream whose reader has its last step and has not asked for the next. */
interface Paused {
  /** Lets others have its turn. */
  lend: () => void;
  /** Ends it. */
  stop: () => void;
}

/**
 * Lets one call at a time use what cannot be shared, in the order in which they came. A stream whose reader stays away,
 * which may itself wait for such a call, lends its turn and goes on behind the call that took it.
 */
export class Turns {
  private readonly waiting: Waiting[] = [];
  private readonly paused = new Set<Paused>();
  private readonly closers: (() => void)[] = [];
  private taken = false;
  /** Those that have begun and not ended, whether or not they have the turn. */
  private streams = 0;
  private closed: MMARError | undefined;

  /** Waits for a turn; gives the function that ends it. Throws `cancelled` where `signal` was aborted meanwhile. */
  async take(signal?: AbortSignal): Promise<() => void> {
    if (this.closed) throw this.closed;
    checkCancelled(signal);
    return this.next(false, signal);
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
   * Hands out a stream in a turn of its own. Where `close` finds it paused, it ends there, and its reader is told so at
   * the next step.
   */
  async *stream<T, R>(start: () => AsyncGenerator<T, R>, signal?: AbortSignal): AsyncGenerator<T, R> {
    let done = await this.take(signal);
    this.streams++;
    const steps = start();
    const end = () => steps.return(undefined as never);
    let left = false;
    const leave = () => {
      if (left) return;
      left = true;
      this.streams--;
      done();
      this.tellClosers();
    };
    let stopped: Promise<void> | undefined;
    let lent = false;
    try {
      for (;;) {
        const step = await steps.next();
        if (step.done) return step.value;
        const paused: Paused = {
          lend: () => {
            lent = true;
            done();
          },
          stop: () => {
            stopped = end().then(leave, leave);
          },
        };
        this.paused.add(paused);
        this.look(paused);
        try {
          yield step.value;
        } finally {
          this.paused.delete(paused);
        }
        if (stopped) throw this.closed;
        if (lent) done = await this.next(true, signal);
        lent = false;
      }
    } finally {
      try {
        await (stopped ?? end());
      } finally {
        leave();
      }
    }
  }

  /** Refuses all that wait and all that come, and waits until what runs has ended. */
  async close(reason: MMARError): Promise<void> {
    this.closed ??= reason;
    for (const waiting of this.waiting.filter(({ resumes }) => !resumes)) waiting.refuse(reason);
    for (const paused of this.paused) this.look(paused);
    if (this.taken || this.streams) await new Promise<void>((ended) => this.closers.push(ended));
  }

  private async next(resumes: boolean, signal?: AbortSignal): Promise<() => void> {
    if (this.taken) await this.wait(resumes, signal);
    this.taken = true;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.taken = this.waiting.length > 0;
      this.waiting[0]?.begin();
      this.tellClosers();
    };
  }

  private tellClosers(): void {
    if (!this.taken && !this.streams) for (const ended of this.closers.splice(0)) ended();
  }

  /** A reader that only collects asks for the next step at once: its stream goes on. */
  private look(paused: Paused): void {
    const later = (ms: number, then: () => void) => setTimeout(() => this.paused.has(paused) && then(), ms);
    if (this.closed) later(0, paused.stop);
    else if (this.waiting.length) later(patience, () => this.waiting.length && paused.lend());
  }

  private wait(resumes: boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = <A extends unknown[]>(then: (...values: A) => void) => {
        return (...values: A) => {
          this.waiting.splice(this.waiting.indexOf(entry), 1);
          signal?.removeEventListener('abort', abort);
          then(...values);
        };
      };
      const entry: Waiting = { begin: leave(resolve), refuse: leave(reject), resumes };
      const abort = () => entry.refuse(new MMARError('cancelled', 'cancelled', { cause: signal?.reason }));
      signal?.addEventListener('abort', abort);
      if (resumes) this.waiting.unshift(entry);
      else this.waiting.push(entry);
      for (const paused of this.paused) this.look(paused);
    });
  }
}
