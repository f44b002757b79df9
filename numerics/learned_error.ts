/** How far a model that learned the chessboard is from its exact denoiser, beside what its type rounds away. */
import { chosenTimes, type Prediction, phases, targetAngle } from '../model/sampler.ts';
import { board, type Quadrant, region } from '../shaders/chessboard.ts';
import { normals, seedWords, uniformNumbers } from '../shaders/random.ts';
import { cellsOf, denoise } from './chessboard.ts';
import { type NumberType, roundTo } from './number_types.ts';

const timesteps = 1000;
const classes = [0, 1, 2, 3] as const;
/** Streams of random numbers from here on, one a time step and class. */
const firstStream = 100;

/** Root mean squares over points of all classes at a time step. */
export interface LearnedError {
  t: number;
  /** Of the model's output from the exact one. */
  learned: number;
  /** Of the exact output rounded to the type. */
  rounded: number;
  /** So many times the output's error is that of x̂: sin φ / |sin(ψ - φ)|. */
  grows: number;
}

/** The model's output u for noisy points [n × 2] of a class at a time step. */
export type Predict = (points: Float32Array, t: number, quadrant: Quadrant) => Promise<ArrayLike<number>>;

/** @param count points of each class at each of `times` time steps */
export async function learnedErrors(
  predict: Predict,
  prediction: Prediction,
  type: NumberType,
  { count, times, seed }: { count: number; times: number; seed: number },
): Promise<LearnedError[]> {
  const phi = phases(timesteps);
  const errors: LearnedError[] = [];
  for (const t of chosenTimes(timesteps, times)) {
    const [sin, cos] = [Math.sin(phi[t]), Math.cos(phi[t])];
    const psi = targetAngle(prediction, phi[t]);
    const towards = Math.sin(psi - phi[t]);
    const squares = { learned: 0, rounded: 0 };
    for (const quadrant of classes) {
      const points = noisyPoints(count, quadrant, [cos, sin], firstStream + 4 * t + quadrant, seed);
      const said = await predict(points, t, quadrant);
      const cells = cellsOf(quadrant);
      for (let at = 0; at < points.length; at += 2)
        denoise(points.subarray(at, at + 2), phi[t], cells).forEach((clean, axis) => {
          const exact = (Math.sin(psi) * points[at + axis] - towards * clean) / sin;
          squares.learned += (said[at + axis] - exact) ** 2;
          squares.rounded += (roundTo(type, exact) - exact) ** 2;
        });
    }
    const mean = (sum: number) => Math.sqrt(sum / (2 * count * classes.length));
    const [learned, rounded] = [mean(squares.learned), mean(squares.rounded)];
    errors.push({ t, learned, rounded, grows: Math.abs(sin / towards) });
  }
  return errors;
}

/** Points of a class's cells with noise, at the angle of that cosine and sine; `stream` is the random numbers' own. */
function noisyPoints(count: number, quadrant: Quadrant, [cos, sin]: number[], stream: number, seed: number) {
  const { corner } = region(quadrant);
  const points = new Float32Array(2 * count);
  const even = uniformNumbers(3 * count, seed, stream);
  for (let i = 0; i < count; i++) {
    const noise = normals([i, stream, 1, 0], seedWords(seed));
    const cell = Math.round(even[3 * i]);
    corner.forEach((from, axis) => {
      const clean = from + (cell + even[3 * i + 1 + axis]) * board.cell;
      points[2 * i + axis] = cos * clean + sin * noise[axis];
    });
  }
  return points;
}
