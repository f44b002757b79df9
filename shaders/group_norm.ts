import type { Recorder } from '../engine/program.ts';
import { type Tensor, f32_bits } from '../engine/tensor.ts';
import { check_shape, grid, reduce_lanes } from './common.ts';
import group_norm_stats_wgsl from './group_norm_stats.wgsl';
import group_norm_wgsl from './group_norm.wgsl';
import type { Affine } from './layer_norm.ts';

/**
 * Group norm over a picture, with SiLU where asked for (spec section 2): eps 1e-6 in LDM.
 * @param x [height × width, channels]; channels a multiple of `groups`
 * @returns the same shape and type
 */
export function group_norm(p: Recorder, x: Tensor, { weight, bias }: Affine, groups: number, eps: number, act: 'none' | 'silu' = 'none'): Tensor {
  check_shape(weight.cols === x.cols && x.cols % groups === 0, 'group_norm', `channels a multiple of ${groups} groups`, x, weight);
  const stats = p.tensor('group_norm stats', 'f32', [groups, 4]), y = p.tensor('group_norm', x.type, x.shape), group_size = x.cols / groups;
  p.dispatch({
    name: 'group_norm_stats', source: group_norm_stats_wgsl, constants: { lanes: reduce_lanes(p), x: x.type }, read: [x], write: [stats],
    uniforms: [x.rows, x.pitch / 4, group_size, f32_bits(eps)], workgroups: [groups],
  });
  p.dispatch({
    name: 'group_norm', source: group_norm_wgsl, constants: { x: x.type, w: weight.type, act }, read: [x, stats, weight, bias], write: [y],
    uniforms: [x.rows, x.pitch / 4, group_size, groups], workgroups: grid(p, x.rows * (x.pitch / 4), 64),
  });
  return y;
}
