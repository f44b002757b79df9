import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise, reducing } from './common.ts';
import groupNormWgsl from './group_norm.wgsl';
import groupNormMergeWgsl from './group_norm_merge.wgsl';
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
  const stats = statistics(p, x, groups, eps),
    y = p.tensor('group_norm', x.type, x.shape),
    groupSize = x.cols / groups;
  p.operation({
    name: 'group_norm',
    source: groupNormWgsl,
    read: [x, stats, weight, bias],
    write: [y],
    ...elementwise(p, x.rows * (x.pitch / 4), { x: x.type, w: weight.type, act }, [x.pitch / 4, groupSize, groups]),
  });
  return y;
}

/** Pixels of a workgroup of the statistics' first stage on hardware; a CPU's few cores have work enough with a group each. */
const partPixels = 1024;

/** [groups, 4]: mean and 1 / sqrt(var + eps). Large pictures on hardware in two stages: a group alone would not fill a GPU. */
function statistics(p: Recorder, x: Tensor, groups: number, eps: number): Tensor {
  const part = p.device.software ? x.rows : Math.min(x.rows, partPixels),
    parts = Math.ceil(x.rows / part),
    threads = reducing(p);
  const of = p.tensor('group_norm stats', 'f32', [parts * groups, 4]);
  p.operation({
    name: 'group_norm_stats',
    source: groupNormStatsWgsl,
    constants: { ...threads, x: x.type, parts: parts > 1 },
    read: [x],
    write: [of],
    uniforms: [x.rows, x.pitch / 4, x.cols / groups, f32Bits(eps), part, groups],
    workgroups: [groups, parts],
  });
  if (parts === 1) return of;
  const stats = p.tensor('group_norm stats', 'f32', [groups, 4]);
  p.operation({
    name: 'group_norm_merge',
    source: groupNormMergeWgsl,
    constants: threads,
    read: [of],
    write: [stats],
    uniforms: [parts, groups, f32Bits(eps)],
    workgroups: [groups],
  });
  return stats;
}
