import { philox, seedWords } from '../shaders/random.ts';

/** What a number is drawn for: streams of one (seed, step) that share nothing. 0 is the drawing's own. */
export const purpose = { order: 1, example: 2, mask: 3, time: 4, noise: 5, weights: 6 } as const;
export type Purpose = keyof typeof purpose;

/**
 * Random numbers that are a function of (seed, step, purpose, index) and their place alone (spec: training.md, section 5):
 * Philox with the place as its counter, so a resumed run draws what an unbroken one would have drawn.
 */
export class Draws {
  private readonly key: [number, number];
  private block: number[] = [];
  private place = 0;

  constructor(
    seed: number,
    private readonly step: number,
    private readonly purpose: Purpose,
    private readonly index = 0,
  ) {
    this.key = seedWords(seed);
  }

  /** 32 random bits. */
  word(): number {
    const at = this.place++ % 4;
    if (!at)
      this.block = philox([(this.place - 1) / 4, this.index >>> 0, this.step >>> 0, purpose[this.purpose]], this.key);
    return this.block[at];
  }

  /** In (0, 1), never an end. */
  uniform(): number {
    return (this.word() + 0.5) / 2 ** 32;
  }

  /** A whole number from 0 to n - 1. */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Of mean 0 and variance 1 (Box-Muller, one of the pair). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A random order of 0 … n-1 (Fisher-Yates). */
  permutation(n: number): Uint32Array<ArrayBuffer> {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
