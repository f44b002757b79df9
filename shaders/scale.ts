import type { Recorder } from '../engine/program.ts';
import { type Tensor, f32_bits } from '../engine/tensor.ts';
import { grid } from './common.ts';
import scale_wgsl from './scale.wgsl';

/** factor × x, of x's shape and type. */
export function scale(p: Recorder, x: Tensor, factor: number): Tensor {
  const y = p.tensor('scale', x.type, x.shape), count = x.rows * (x.pitch / 4);
  p.dispatch({ name: 'scale', source: scale_wgsl, constants: { x: x.type }, read: [x], write: [y], uniforms: [count, f32_bits(factor)], workgroups: grid(p, count, 32) });
  return y;
}
