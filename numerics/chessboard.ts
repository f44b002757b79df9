/** The chessboard of §6.8 with the exact denoiser of its distribution, in f64: the definition of what the device computes. */
import { checkCancelled } from '../base/error.ts';
import { angularStep, chosenTimes, type Prediction, phases, targetAngle } from '../model/sampler.ts';
import { board, type Quadrant, region } from '../shaders/chessboard.ts';
import { noiseStream, normals, seedWords, stepNoiseStream } from '../shaders/random.ts';
import { erfcx, gaussLegendre } from './normal.ts';
import { type NumberType, roundTo } from './number_types.ts';

const timesteps = 1000;
const half = board.cell / 2;

/** One sampler step: x ← a x̂ + b x + c (round u - u) + σ noise, u = p x + q x̂. */
export interface BoardStep {
  a: number;
  b: number;
  c: number;
  sigma: number;
  p: number;
  q: number;
  phi: number;
}

/**
 * The steps in the order in which they run. What the unrounded output gives is taken from Eq. 16 for x̂, whose terms do not
 * cancel; what rounding adds is Eq. 16's for the prediction.
 */
export function boardSteps(prediction: Prediction, steps: number, eta: number): BoardStep[] {
  const phi = phases(timesteps);
  const times = chosenTimes(timesteps, steps);
  const step = (t: number, j: number): BoardStep => {
    const psi = targetAngle(prediction, phi[t]);
    const next = j ? phi[times[j - 1]] : 0;
    const { a, b, sigma } = angularStep(targetAngle('x', phi[t]), phi[t], next, eta);
    const p = Math.sin(psi) / Math.sin(phi[t]);
    const q = -Math.sin(psi - phi[t]) / Math.sin(phi[t]);
    return { a, b, c: angularStep(psi, phi[t], next, eta).a, sigma, p, q, phi: phi[t] };
  };
  return times.map(step).reverse();
}

/** A normal distribution cut to a cell's side: its mass is `mass` e^`exponent`, its mean lies `offset` σ from the middle. */
interface Cut {
  mass: number;
  exponent: number;
  offset: number;
}

/** Where half a cell is shorter than this many σ, differences of erfc would cancel: it is summed there. */
export const wideUnder = 0.5;
const rule = gaussLegendre(12);

/**
 * @param beta how far the distribution's mean is from the cell's middle, in σ
 * @param alpha half the cell's side, in σ
 */
function cut(beta: number, alpha: number): Cut {
  return alpha < wideUnder ? cutWide(beta, alpha) : cutNarrow(Math.abs(beta), alpha, Math.sign(beta));
}

function cutWide(beta: number, alpha: number): Cut {
  let mass = 0;
  let moment = 0;
  for (const { node, weight } of rule) {
    const density = weight * Math.exp(-((alpha * node) ** 2) / 2 + beta * alpha * node);
    mass += density;
    moment += density * alpha * node;
  }
  return { mass, exponent: -(beta ** 2) / 2, offset: moment / mass };
}

function cutNarrow(beta: number, alpha: number, sign: number): Cut {
  const near = beta - alpha;
  const far = beta + alpha;
  const outside = near > 0;
  const exponent = outside ? -(near ** 2) / 2 : 0;
  const atNear = Math.exp(-(near ** 2) / 2 - exponent);
  const atFar = Math.exp(outside ? -2 * alpha * beta : -(far ** 2) / 2);
  const tails = [atNear * erfcx(Math.abs(near) / Math.SQRT2), atFar * erfcx(far / Math.SQRT2)];
  const mass = outside ? (tails[0] - tails[1]) / 2 : 1 - (tails[0] + tails[1]) / 2;
  return { mass, exponent, offset: sign * (beta + (atFar - atNear) / (Math.sqrt(2 * Math.PI) * mass)) };
}

/** The filled cells of a quadrant or of the whole board, as column and row, and the middles of columns and rows. */
export function cellsOf(quadrant?: Quadrant) {
  const { corner, columns } = region(quadrant);
  const places = Array.from({ length: columns }, (_, i) => i);
  const middles = corner.map((from) => places.map((i) => from + (i + 0.5) * board.cell));
  const cells = places.flatMap((column) =>
    places.filter((row) => (column + row) % 2 === 0).map((row) => [column, row]),
  );
  return { cells, middles };
}

/** E[x₀ | x] at angle φ: each filled cell's mean, by how likely the cell is. */
export function denoise(
  point: ArrayLike<number>,
  phi: number,
  { cells, middles }: ReturnType<typeof cellsOf>,
): number[] {
  const [sin, cos] = [Math.sin(phi), Math.cos(phi)];
  const cuts = middles.map((axis, i) =>
    axis.map((middle) => {
      const { mass, exponent, offset } = cut((point[i] - middle * cos) / sin, (half * cos) / sin);
      return { mass, exponent, mean: middle + (offset * sin) / cos };
    }),
  );
  const found = cells.map(([column, row]) => [cuts[0][column], cuts[1][row]]);
  const exponents = found.map(([x, y]) => x.exponent + y.exponent);
  const most = Math.max(...exponents);
  const likely = found.map(([x, y], i) => x.mass * y.mass * Math.exp(exponents[i] - most));
  const all = likely.reduce((sum, mass) => sum + mass);
  return [0, 1].map((axis) => found.reduce((sum, cell, i) => sum + likely[i] * cell[axis].mean, 0) / all);
}

export interface BoardSettings {
  steps: number;
  /** 0 DDIM, 1 DDPM. */
  eta: number;
  seed: number;
  /** The class whose cells the denoiser knows; without one, all. */
  quadrant?: Quadrant;
}

/**
 * Where the first n points [n × 2] end, as a computer of f64 has it: the same noise as on the device, to more digits.
 * @param rounding the prediction and the type that its output is rounded to; none: it is not rounded
 */
export async function exactPoints(
  n: number,
  { steps, eta, seed, quadrant }: BoardSettings,
  rounding?: { prediction: Prediction; type: NumberType },
  signal?: AbortSignal,
): Promise<Float64Array> {
  const key = seedWords(seed);
  const noiseOf = (point: number, stream: number, now: number) =>
    normals([point >> 1, stream, now, 0], key).slice(2 * (point & 1), 2 * (point & 1) + 2);
  const points = Float64Array.from(Array.from({ length: n }, (_, i) => noiseOf(i, noiseStream, 0)).flat());
  const cells = cellsOf(quadrant);
  const round = (u: number) => (rounding ? roundTo(rounding.type, u) - u : 0);
  let rested = performance.now();
  for (const [now, step] of boardSteps(rounding?.prediction ?? 'x', steps, eta).entries()) {
    for (let i = 0; 2 * i < points.length; i++) {
      const old = points.slice(2 * i, 2 * i + 2);
      const noise = step.sigma
        ? normals([i >> 1, stepNoiseStream, now, 0], seedWords(seed)).slice(2 * (i & 1))
        : [0, 0];
      denoise(old, step.phi, cells).forEach((clean, axis) => {
        const error = round(step.p * old[axis] + step.q * clean);
        points[2 * i + axis] = step.a * clean + step.b * old[axis] + step.c * error + step.sigma * noise[axis];
      });
    }
    if (performance.now() - rested < 50) continue;
    await new Promise((resolve) => setTimeout(resolve)); // so that a stop is heard
    rested = performance.now();
    checkCancelled(signal);
  }
  return points;
}

/** What became of the points of a run. */
export interface Score {
  samples: number;
  /** The share of points off their cells. */
  wrong: number;
  /** The root mean square distance from the unrounded run of the same noise. */
  drift: number;
}

/** Whether a point lies on a filled cell of the quadrant, or of the board. */
export function isOn([x, y]: Iterable<number>, quadrant?: Quadrant): boolean {
  const { corner, columns } = region(quadrant);
  const [column, row] = [x - corner[0], y - corner[1]].map((from) => Math.floor(from / board.cell));
  return Math.min(column, row) >= 0 && Math.max(column, row) < columns && (column + row) % 2 === 0;
}

/** How far a point is from the nearest filled cell, along the axis on which it is farther, in sides of a cell; 0 on one. */
export function cellsAway(point: ArrayLike<number>, quadrant?: Quadrant): number {
  const { cells, middles } = cellsOf(quadrant);
  const away = (at: number, middle: number) => Math.max(0, Math.abs(at - middle) / board.cell - 0.5);
  return Math.min(
    ...cells.map((cell) => Math.max(...cell.map((place, axis) => away(point[axis], middles[axis][place])))),
  );
}

/** @param points [n × 2] @param wanted [n × 2] */
export function scorePoints(points: Float64Array, wanted: Float64Array, quadrant?: Quadrant): Score {
  const samples = points.length / 2;
  let wrong = 0;
  for (let i = 0; i < samples; i++) if (!isOn(points.subarray(2 * i), quadrant)) wrong++;
  const squares = points.reduce((sum, at, i) => sum + (at - wanted[i]) ** 2, 0);
  return { samples, wrong: wrong / samples, drift: Math.sqrt(squares / samples) };
}

/** The row of `ChessboardTables.steps` for a step. */
export function stepRow({ a, b, c, sigma, p, q, phi }: BoardStep): number[] {
  const [sin, cos] = [Math.sin(phi), Math.cos(phi)];
  const alpha = (half * cos) / sin;
  const over = gaussLegendre(8).filter(({ node }) => node > 0);
  const density = ({ node, weight }: (typeof over)[number]) => weight * Math.exp(-((alpha * node) ** 2) / 2);
  return [
    ...[a, b, c, sigma, p, q, cos, sin],
    ...[alpha, sin / cos, Number(alpha < wideUnder), 0],
    ...over.map(({ node }) => alpha * node),
    ...over.map(density),
    ...over.map((at) => half * at.node * density(at)),
  ];
}
