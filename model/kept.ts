import { MMARError } from '../base/error.ts';

/** What computes with a model's weights, and keeps for its next use what it computed. */
interface Reusable {
  /** The weights are others: what was computed with them is computed anew. */
  forget(): void;
  release(): Promise<void>;
}

/** A thing for one use, and what the use owes. */
interface Use<T> {
  thing: T;
  /** Throws `usage` where tensors gave way to others in the middle of it. */
  check(): void;
  end(): Promise<void>;
}

/** The thing that was used last, kept for the next use. A use has its thing alone; what is told meanwhile reaches it at its end. */
export class Kept<T extends Reusable> {
  private idle: T | undefined;
  private forgotten = 0;
  private released = 0;

  /** Begins a use: of the thing that is kept, where it `serves`, else of another, made once the memory of that one is free. */
  async use(serves: (last: T) => boolean, make: (last?: T) => T | Promise<T>): Promise<Use<T>> {
    const last = this.idle;
    this.idle = undefined;
    const thing = last && serves(last) ? last : await this.replace(last, make);
    const { forgotten, released } = this;
    return {
      thing,
      check: () => {
        if (released !== this.released)
          throw new MMARError('usage', 'the weights were exchanged in the middle of this; ask for it again');
      },
      end: async () => {
        if (forgotten !== this.forgotten) thing.forget();
        if (released === this.released) await this.keep(thing);
        else await thing.release();
      },
    };
  }

  forget(): void {
    this.forgotten++;
    this.idle?.forget();
  }

  async release(): Promise<void> {
    this.released++;
    await this.idle?.release();
    this.idle = undefined;
  }

  private async replace(last: T | undefined, make: (last?: T) => T | Promise<T>): Promise<T> {
    await last?.release();
    return make(last);
  }

  private async keep(thing: T): Promise<void> {
    const other = this.idle;
    this.idle = thing;
    await other?.release();
  }
}
