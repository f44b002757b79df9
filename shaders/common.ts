import { MMARError } from '../base/error.ts';
import type { Constants } from '../engine/preprocessor.ts';
import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { isWide } from './gpu.ts';

/** Throws unless `holds`, with both operands' shapes in the message. */
export function checkShape(holds: boolean, operation: string, wants: string, ...operands: Tensor[]): asserts holds {
  if (!holds) throw new MMARError('shape', `${operation}: ${operands.join(', ')}; want ${wants}`);
}

/** Whole quads in `n` elements. */
export const quads = (n: number): number => Math.ceil(n / 4);

/**
 * Workgroups for `count` invocations in a row: two dimensions where one is too short. The shader's index is
 * `(workgroup_id.y * num_workgroups.x + workgroup_id.x) * size + local_invocation_index`.
 */
export function grid(p: Recorder, count: number, size: number): [number, number] {
  const groups = Math.ceil(count / size),
    most = p.device.limits.maxComputeWorkgroupsPerDimension;
  if (groups <= most) return [groups, groups ? 1 : 0];
  const x = Math.ceil(Math.sqrt(groups));
  return [x, Math.ceil(groups / x)];
}

/**
 * How a kernel that includes lib/elements.wgsl is launched for so many elements, of which a thread takes one, or up to sixteen
 * on a CPU of wide vectors, as long as each core has some workgroups.
 * @param constants the kernel's own
 * @param sizes the kernel's own uniforms, behind the number of elements and how many a thread takes
 */
export function elementwise(
  p: Recorder,
  elements: number,
  constants: Constants = {},
  sizes: number[] = [],
): { constants: Constants; uniforms: number[]; workgroups: [number, number] } {
  const { cores } = p.device,
    several = isWide(p.device),
    threads = several ? 16 : 64,
    each = several ? Math.min(16, Math.max(1, Math.floor(elements / (threads * 4 * cores)))) : 1;
  return {
    constants: { threads, several, ...constants },
    uniforms: [elements, each, ...sizes],
    workgroups: grid(p, elements, threads * each),
  };
}

/**
 * Invocations that add up a row: as many as a CPU's vector, where barriers are dear, or a few of a GPU's. All software
 * adapters use the same number, since the order of a sum decides its last bits.
 */
export const reduceLanes = (p: Recorder): number => (p.device.software ? 8 : 64);

/** Constants of a kernel that includes lib/reduce.wgsl: its `lanes`, whether they are `few` or one `subgroup`, a `lane`'s builtin. */
export function reducing(p: Recorder): Constants {
  const subgroup = isWide(p.device);
  return {
    lanes: reduceLanes(p),
    few: p.device.software,
    subgroup,
    lane: subgroup ? 'subgroup_invocation_id' : 'local_invocation_index',
  };
}
