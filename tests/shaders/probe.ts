// Functions of shaders/lib/ on the device, by themselves.
import { run, tensor } from '../gpu.ts';
import probeWgsl from './probe.wgsl';

/** The WGSL expression `f` of quads v (from x) and w (from x1), for all elements. */
export async function probe(f: string, x: ArrayLike<number>, x1 = x): Promise<Float32Array> {
  const n = x.length;
  if (n % 4) throw new Error(`${n} values are no whole quads`);
  return run((p) => {
    const y = p.tensor('y', 'f32', [1, n]);
    const read = [tensor('f32', [1, n], x), tensor('f32', [1, n], x1)];
    p.operation({
      name: `probe ${f}`,
      source: probeWgsl,
      constants: { f },
      read,
      write: [y],
      uniforms: [],
      workgroups: [Math.ceil(n / 256)],
    });
    return y;
  });
}

/** `f` for a function of one number. */
export const each = (f: string): string => `vec4<f32>(${['x', 'y', 'z', 'w'].map((c) => `${f}(v.${c})`).join(', ')})`;

/** n numbers from `from` to `to`, evenly spaced, as f32. */
export const linear = (from: number, to: number, n: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));

/** n positive numbers from `from` to `to`, evenly spaced in their logarithm. */
export const logarithmic = (from: number, to: number, n: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => from * (to / from) ** (i / (n - 1)));

/** Random f32 of all signs and exponents from 2^low to 2^high. */
export function randomFloats(n: number, low: number, high: number, seed: number): Float32Array {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from(
    { length: n },
    () => (next() < 0.5 ? -1 : 1) * (1 + next()) * 2 ** Math.floor(low + next() * (high - low)),
  );
}
