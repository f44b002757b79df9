import type { Recorder } from '../engine/program.ts';
import { type Tensor, f32_bits } from '../engine/tensor.ts';
import { check_shape, grid, reduce_lanes } from './common.ts';
import rms_norm_wgsl from './rms_norm.wgsl';

/**
 * Root-mean-square norm, as Qwen2's: x / sqrt(mean(x²) + eps) ⊙ weight.
 * @param x [rows, hidden]
 * @param weight [hidden]
 * @returns [rows, hidden], of x's type; in `into` where it is given
 */
export function rms_norm(p: Recorder, x: Tensor, weight: Tensor, eps: number, into?: Tensor): Tensor {
  check_shape(weight.cols === x.cols, 'rms_norm', 'a weight as wide as x', x, weight);
  const y = into ?? p.tensor('rms_norm', x.type, x.shape);
  p.dispatch({
    name: 'rms_norm', source: rms_norm_wgsl, constants: { lanes: reduce_lanes(p), x: x.type, w: weight.type }, read: [x, weight], write: [y],
    uniforms: [x.rows, x.pitch / 4, f32_bits(x.cols), f32_bits(eps)], workgroups: grid(p, x.rows, 1),
  });
  return y;
}
