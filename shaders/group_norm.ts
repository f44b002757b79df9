import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, grid, reduceLanes } from './common.ts';
import groupNormWgsl from './group_norm.wgsl';
import groupNormStatsWgsl from './group_norm_stats.wgsl';
import type { Affine } from './layer_norm.ts';

/**
 * Group norm over a picture, with SiLU where asked for (spec section 2): eps 1e-6 in LDM.
 * @param x [height × width, channels]; channels a multiple of `groups`
 * @returns the same shape and type
 */
export function groupNorm(
  p: Recorder,
  x: Tensor,
  { weight, bias }: Affine,
  groups: number,
  eps: number,
  act: 'none' | 'silu' = 'none',
): Tensor {
  checkShape(
    weight.cols === x.cols && x.cols % groups === 0,
    'group_norm',
    `channels a multiple of ${groups} groups`,
    x,
    weight,
  );
  const stats = p.tensor('group_norm stats', 'f32', [groups, 4]),
    y = p.tensor('group_norm', x.type, x.shape),
    groupSize = x.cols / groups;
  p.operation({
    name: 'group_norm_stats',
    source: groupNormStatsWgsl,
    constants: { lanes: reduceLanes(p), x: x.type },
    read: [x],
    write: [stats],
    uniforms: [x.rows, x.pitch / 4, groupSize, f32Bits(eps)],
    workgroups: [groups],
  });
  p.operation({
    name: 'group_norm',
    source: groupNormWgsl,
    constants: { x: x.type, w: weight.type, act },
    read: [x, stats, weight, bias],
    write: [y],
    uniforms: [x.rows, x.pitch / 4, groupSize, groups],
    workgroups: grid(p, x.rows * (x.pitch / 4), 64),
  });
  return y;
}
