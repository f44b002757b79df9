import type { Device } from '../engine/device.ts';
import type { Constants } from '../engine/preprocessor.ts';

/**
 * How many values a thread may keep before a GPU's compiler moves some to memory, as its compiler showed
 * (docs/performance.md): `many` (NVIDIA, AMD, Apple), `half` (Intel where the size of subgroups can be asked for), `some`
 * (Adreno) or `few` (Mali, Intel else, and who is unknown).
 */
export function registers(device: Device): 'many' | 'half' | 'some' | 'few' {
  const { vendor } = device.adapter;
  if (/nvidia|amd|ati|apple/i.test(vendor)) return 'many';
  if (narrowSubgroup(device)) return 'half';
  return /qualcomm/i.test(vendor) ? 'some' : 'few';
}

/**
 * The size of subgroups to ask for, 0: any. Intel's registers hold a value of each thread of a subgroup: in the smallest each
 * thread has twice as many as in the size that browsers ask for.
 */
export function narrowSubgroup(device: Device): number {
  const controlled = (device.gpu.features as ReadonlySet<string>).has('subgroup-size-control');
  return controlled && /intel/i.test(device.adapter.vendor) ? device.gpu.adapterInfo.subgroupMinSize : 0;
}

/**
 * How subgroups share `quads` that all of a workgroup's `lanes` threads want. A CPU loads an address for every thread anew, even
 * where it is the same: each thread loads some of the quads and the subgroup hands them round. Narrow ones gain nothing from it.
 */
export function sharing({ software, subgroupSize }: Device, lanes: number, quads: number): Constants {
  const shares = software && subgroupSize >= 8 && lanes % subgroupSize === 0;
  return shares ? { subgroup: subgroupSize, loads: Math.ceil(quads / subgroupSize) } : { subgroup: 0, loads: quads };
}
