import { MMARError } from '../base/error.ts';
import type { Config } from './config.ts';

export type Prediction = Config['diffusion']['prediction'];

/** ᾱ of every time step: the cosine schedule with betas clipped at 0.999 (spec section 5). */
export function alphasBar(timesteps: number): Float64Array {
  const f = (t: number) => Math.cos(((t / timesteps + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
  let product = 1;
  return Float64Array.from({ length: timesteps }, (_, i) => (product *= 1 - Math.min(1 - f(i + 1) / f(i), 0.999)));
}

/** n of the T time steps, ends included, ascending: stride (T-1)/(n-1), each rounded half to even. */
export function chosenTimes(timesteps: number, n: number): number[] {
  if (!Number.isInteger(n) || n < 1 || n > timesteps)
    throw new MMARError('usage', `steps is ${n}; give a whole number from 1 to ${timesteps}`);
  if (n === 1) return [0];
  const stride = (timesteps - 1) / (n - 1);
  return Array.from({ length: n }, (_, i) => roundHalfEven(i * stride));
}

/**
 * One row (a, b, c, j) a sampler step, in the order in which they run: x ← a u + b x + c noise[j].
 *
 * With angles φ of the step, φ' of the one after it and ψ of the prediction (Eq. 9 to 11), x̂ = (sin ψ x - sin φ u) /
 * sin(ψ-φ) and ε̂ = (cos φ u - cos ψ x) / sin(ψ-φ); then x' = √ᾱ' x̂ + √(1-ᾱ'-σ²) ε̂ + σ noise. σ = 0 (eta 0) is Eq. 16's
 * DDIM step, eta 1 the DDPM posterior.
 */
export function samplerCoefficients(
  prediction: Prediction,
  timesteps: number,
  n: number,
  eta: number,
  temperature: number,
): Float64Array {
  const bars = alphasBar(timesteps),
    times = chosenTimes(timesteps, n),
    out = new Float64Array(4 * n);
  times.forEach((t, j) => {
    const bar = bars[t],
      next = j ? bars[times[j - 1]] : 1;
    const sin = Math.sqrt(1 - bar),
      cos = Math.sqrt(bar);
    const [sinPsi, cosPsi] = prediction === 'v' ? [cos, -sin] : prediction === 'x' ? [0, 1] : [1, 0];
    const sinBetween = sinPsi * cos - cosPsi * sin; // sin(ψ - φ)
    const sigma = j ? eta * Math.sqrt(((1 - next) / (1 - bar)) * (1 - bar / next)) : 0;
    const toX = Math.sqrt(next),
      toNoise = Math.sqrt(Math.max(0, 1 - next - sigma * sigma));
    out.set(
      [
        (toNoise * cos - toX * sin) / sinBetween,
        (toX * sinPsi - toNoise * cosPsi) / sinBetween,
        sigma * temperature,
        j,
      ],
      4 * (n - 1 - j),
    );
  });
  return out;
}

/** Hidden positions after each iteration (spec section 6): the last leaves none. */
export function hiddenAfter(image_tokens: number, iterations: number): number[] {
  if (!Number.isInteger(iterations) || iterations < 1)
    throw new MMARError('usage', `iterations is ${iterations}; give a whole number from 1 up`);
  let now = image_tokens;
  return Array.from({ length: iterations }, (_, k) => {
    if (k === iterations - 1) return 0;
    const keep = Math.floor(image_tokens * Math.cos(((Math.PI / 2) * (k + 1)) / iterations));
    return (now = Math.max(1, Math.min(now - 1, keep)));
  });
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
