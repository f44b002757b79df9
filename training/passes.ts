import { type Prediction, phases, targetAngle } from '../model/sampler.ts';

/** One example of a pass, with everything that is drawn for it (spec: training.md, sections 2 and 7). */
interface Sequence {
  /** Ids before the image, image start not among them. */
  before: readonly number[];
  /** f32 [L, d], clean; VQ: codes [L] */
  tokens: ArrayLike<number>;
}

/** A picture to be drawn. */
export interface DrawingExample extends Sequence {
  /** Hidden positions, ascending (Transfusion: all of them). */
  hidden: ArrayLike<number>;
  /** Draw after draw, a time for each hidden position (Transfusion: one time for all; VQ: none). */
  times: ArrayLike<number>;
  /** The noise of each of these tokens, of d channels. */
  noise: ArrayLike<number>;
}

/** A picture to be read. */
export interface ReadingExample extends Sequence {
  /** Ids behind the image, image end not among them: question and answer. */
  after: readonly number[];
  /** The id that follows each of `after`; -100: no loss there. */
  targets: readonly number[];
  /** Transfusion: the one time at which the image enters, and its noise [L, d]. */
  times?: ArrayLike<number>;
  noise?: ArrayLike<number>;
}

/** Noisy tokens, and what a head should say of them. */
export interface Noised {
  /** cos φ x + sin φ ε, f32 [n, d] (Eq. 10) */
  x: Float32Array;
  /** cos ψ x + sin ψ ε, f32 [n, d] (Eq. 11, r = 1) */
  u: Float32Array;
}

/** The forward process of a diffusion, on the host. */
export class Noising {
  private readonly phases: Float64Array;

  constructor(
    private readonly prediction: Prediction,
    readonly timesteps: number,
    private readonly d: number,
  ) {
    this.phases = phases(timesteps);
  }

  /**
   * @param tokens f32 [·, d], clean
   * @param rows which row of `tokens` each of the n noisy ones is
   * @param times [n]
   * @param noise [n, d]
   */
  add(tokens: ArrayLike<number>, rows: ArrayLike<number>, times: ArrayLike<number>, noise: ArrayLike<number>): Noised {
    const { d } = this,
      x = new Float32Array(rows.length * d),
      u = new Float32Array(rows.length * d);
    for (let r = 0; r < rows.length; r++) {
      const phi = this.phases[times[r]],
        psi = targetAngle(this.prediction, phi);
      for (let c = 0, at = r * d; c < d; c++, at++) {
        const clean = tokens[rows[r] * d + c],
          epsilon = noise[at];
        x[at] = Math.cos(phi) * clean + Math.sin(phi) * epsilon;
        u[at] = Math.cos(psi) * clean + Math.sin(psi) * epsilon;
      }
    }
    return { x, u };
  }
}
