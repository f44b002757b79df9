import type { Device } from '../engine/device.ts';
import type { Constants } from '../engine/preprocessor.ts';

/** Bytes of private variables that WGSL lets a thread have. */
export const privateBytes = 8192;

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

/** Whether the device is a CPU that runs eight threads or more as one vector, which is a subgroup. */
export const isWide = ({ software, subgroupSize }: Device): boolean => software && subgroupSize >= 8;

/**
 * How subgroups share `quads` that all of a workgroup's `lanes` threads want. A CPU loads an address for every thread anew, even
 * where it is the same: each thread loads some of the quads and the subgroup hands them round. Narrow ones gain nothing from it.
 */
export function sharing(device: Device, lanes: number, quads: number): Constants {
  const { subgroupSize } = device,
    shares = isWide(device) && lanes % subgroupSize === 0;
  return shares ? { subgroup: subgroupSize, loads: Math.ceil(quads / subgroupSize) } : { subgroup: 0, loads: quads };
}

/**
 * How many queries or keys a thread may take, the most first, where what a subgroup loads and hands round (`sharing`) serves all
 * of them: so many that `room` quads hold one of their operands, and that each core has two workgroups.
 * @param rows queries or keys, of which a workgroup's `lanes` threads take as many times `lanes`
 * @param others workgroups that the same rows have, such as one a head
 */
export function several(
  device: Device,
  lanes: number,
  quads: number,
  rows: number,
  others: number,
  room = 64,
): number[] {
  if (!sharing(device, lanes, quads).subgroup) return [];
  const works = (each: number): boolean => Math.ceil(rows / lanes / each) * others >= 2 * device.cores;
  return [8, 4, 2].filter((each) => each * quads <= room && each * lanes <= rows && works(each));
}
