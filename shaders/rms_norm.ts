import type { Recorder } from '../engine/program.ts';
import { type Tensor, f32_bits } from '../engine/tensor.ts';
import { check_shape, grid, reduce_lanes } from './common.ts';
import rms_norm_wgsl from './rms_norm.wgsl';

/**
 * Root-mean-square norm, as Qwen2's: x / sqrt(mean(x²) + eps) ⊙ weight.
 * @param x [rows, hidden]
 * @param weight [hidden]
 * @returns [rows, hidden], of x's type
 */
export function rms_norm(p: Recorder, x: Tensor, weight: Tensor, eps: number): Tensor {
  check_shape(weight.cols === x.cols, 'rms_norm', 'a weight as wide as x', x, weight);
  const y = p.tensor('rms_norm', x.type, x.shape);
  p.dispatch({
    name: 'rms_norm', source: rms_norm_wgsl, constants: { lanes: reduce_lanes, x: x.type, w: weight.type }, read: [x, weight], write: [y],
    uniforms: [x.rows, x.pitch / 4, f32_bits(x.cols), f32_bits(eps)], workgroups: grid(p, x.rows, 1),
  });
  return y;
}
