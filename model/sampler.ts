import { MMARError } from '../base/error.ts';

/** What a model predicts (Eq. 11): `v`, `epsilon`, `x`, or the constant angle ψ in radians: u = cos ψ x + sin ψ ε. */
export type Prediction = 'v' | 'epsilon' | 'x' | number;

/** ᾱ of every time step: the cosine schedule with betas clipped at 0.999 (spec section 5). */
export function alphasBar(timesteps: number): Float64Array {
  const f = (t: number) => Math.cos(((t / timesteps + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
  const bars = new Float64Array(timesteps);
  for (let t = 0, product = 1; t < timesteps; t++) {
    product *= 1 - Math.min(1 - f(t + 1) / f(t), 0.999);
    bars[t] = product;
  }
  return bars;
}

/** φ of every time step (Eq. 9): sin φ = √(1-ᾱ), cos φ = √ᾱ. */
export const phases = (timesteps: number): Float64Array =>
  alphasBar(timesteps).map((bar) => Math.atan2(Math.sqrt(1 - bar), Math.sqrt(bar)));

/** ψ of a prediction at φ (Eq. 11, 21). */
export function targetAngle(prediction: Prediction, phi: number): number {
  if (typeof prediction === 'number') return prediction;
  return { v: phi + Math.PI / 2, epsilon: Math.PI / 2, x: 0 }[prediction];
}

/** n of the T time steps, ends included, ascending: stride (T-1)/(n-1), each rounded half to even. */
export function chosenTimes(timesteps: number, n: number): number[] {
  if (!Number.isInteger(n) || n < 1 || n > timesteps)
    throw new MMARError('usage', `steps is ${n}; give a whole number from 1 to ${timesteps}`);
  if (n === 1) return [0];
  const stride = (timesteps - 1) / (n - 1);
  return Array.from({ length: n }, (_, i) => roundHalfEven(i * stride));
}

/** x' = a u + b x + σ noise. */
export interface Step {
  a: number;
  b: number;
  sigma: number;
}

/**
 * One sampler step from φ down to `next`, for a model whose output u lies at ψ. With eta 0 it is DDIM's (Eq. 16). Noise of
 * standard deviation σ leaves √(1-σ²) for the rest, so with eta over 0 the step goes to the smaller angle φ* that keeps
 * √(1-σ²) cos φ* = cos φ', and is shortened to that length; eta 1 is the DDPM posterior.
 */
export function angularStep(psi: number, phi: number, next: number, eta = 0): Step {
  const between = Math.sin(psi - phi);
  if (Math.abs(between) < 1e-9)
    throw new MMARError('checkpoint', `prediction ${psi} is φ of a time step, where u is x itself; take another angle`);
  const spread = Math.sqrt(Math.sin(phi - next) * Math.sin(phi + next)) / Math.cos(next); // √(1 - ᾱ/ᾱ')
  const sigma = (eta * spread * Math.sin(next)) / Math.sin(phi);
  const rest = Math.sqrt(Math.max(0, Math.sin(next) ** 2 - sigma ** 2));
  const length = Math.hypot(Math.cos(next), rest);
  const target = eta ? Math.atan2(rest, Math.cos(next)) : next;
  return { a: (length * Math.sin(target - phi)) / between, b: (length * Math.sin(psi - target)) / between, sigma };
}

/**
 * One row (a, b, c, j) a sampler step, in the order in which they run: x ← a u + b x + c noise[j], with j the place of the
 * step's time among the chosen ones, ascending. Temperature multiplies the noise.
 */
export function samplerCoefficients(
  prediction: Prediction,
  timesteps: number,
  n: number,
  eta: number,
  temperature: number,
): Float64Array {
  const phi = phases(timesteps);
  const times = chosenTimes(timesteps, n);
  const rows = times.map((t, j) => {
    const next = j ? phi[times[j - 1]] : 0;
    const { a, b, sigma } = angularStep(targetAngle(prediction, phi[t]), phi[t], next, eta);
    return [a, b, sigma * temperature, j];
  });
  return Float64Array.from(rows.reverse().flat());
}

/** Diffusion steps of an iteration before which `known` of the tokens are known: linear in them, `from` the first. */
export const stepsAt = (from: number, to: number, known: number, image_tokens: number): number =>
  Math.round(from + ((to - from) * known) / image_tokens);

/** Hidden positions after each iteration (spec section 6): the last leaves none. */
export function hiddenAfter(image_tokens: number, iterations: number): number[] {
  if (!Number.isInteger(iterations) || iterations < 1)
    throw new MMARError('usage', `iterations is ${iterations}; give a whole number from 1 up`);
  const hidden: number[] = [];
  for (let k = 1, now = image_tokens; k < iterations; k++) {
    const keep = Math.floor(image_tokens * Math.cos(((Math.PI / 2) * k) / iterations));
    now = Math.max(1, Math.min(now - 1, keep));
    hidden.push(now);
  }
  return [...hidden, 0];
}

/** ω of an iteration after which `known` of the tokens are known. */
export function guidanceAt(cfg: number, schedule: 'constant' | 'linear', known: number, image_tokens: number): number {
  return schedule === 'linear' ? 1 + ((cfg - 1) * known) / image_tokens : cfg;
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x),
    rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
