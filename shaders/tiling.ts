import type { Device } from '../engine/device.ts';
import type { Constants } from '../engine/preprocessor.ts';
import { quads } from './common.ts';
import { narrowSubgroup, registers } from './gpu.ts';

/** How a product of rows and columns is cut into workgroups: each computes `lanes` quads of columns × `tileRows` rows. */
export interface Tiling {
  variant: string;
  lanes: number;
  tileRows: number;
  /** The shader's own. */
  constants: Constants;
}

/** Tiles of lib/tile.wgsl: rows × quads of a thread, threads of a workgroup, quads of k staged at once. */
const shapes = {
  tiled: { tile_m: 8, tile_n: 2, across: 16, down: 16, depth: 4 },
  tiled_small: { tile_m: 8, tile_n: 2, across: 8, down: 8, depth: 4 },
  tiled_one: { tile_m: 8, tile_n: 1, across: 16, down: 8, depth: 4 },
  tiled_four: { tile_m: 4, tile_n: 1, across: 16, down: 16, depth: 8 },
  tiled_two: { tile_m: 2, tile_n: 1, across: 16, down: 16, depth: 8 },
  /** For a few columns, such as a picture's three channels. */
  tiled_narrow: { tile_m: 2, tile_n: 1, across: 4, down: 32, depth: 8 },
};

/** The best first, where there is enough work for many workgroups. */
const orders = {
  many: ['tiled', 'tiled_small', 'tiled_one', 'tiled_four', 'tiled_two', 'tiled_narrow'],
  half: ['tiled', 'tiled_one', 'tiled_four', 'tiled_small', 'tiled_two', 'tiled_narrow'],
  some: ['tiled_one', 'tiled_four', 'tiled_small', 'tiled', 'tiled_two', 'tiled_narrow'],
  few: ['tiled_two', 'tiled_four', 'tiled_one', 'tiled_small', 'tiled', 'tiled_narrow'],
};

/** Workgroups that keep a large GPU's cores at work. */
const enoughWorkgroups = 128;

/** The tiles of lib/tile.wgsl that the device has workgroup memory for, the best for rows × n columns by rule first. */
export function tilings(device: Device, rows: number, n: number): Tiling[] {
  const fits = Object.entries(shapes)
    .map(([variant, shape]) => tiling(device, variant, shape))
    .filter(({ bytes }) => bytes <= device.limits.maxComputeWorkgroupStorageSize);
  const order = orders[registers(device)];
  const rank = ({ variant, lanes, tileRows }: Tiling): number => {
    const workgroups = Math.ceil(quads(n) / lanes) * Math.ceil(rows / tileRows);
    if (variant === 'tiled_narrow' && quads(n) <= lanes) return -1;
    return order.indexOf(variant) + (variant === 'tiled' && workgroups < enoughWorkgroups ? order.length : 0);
  };
  return fits.sort((a, b) => rank(a) - rank(b)).map(({ bytes: _, ...rest }) => rest);
}

function tiling(device: Device, variant: string, shape: (typeof shapes)['tiled']): Tiling & { bytes: number } {
  const { tile_m, tile_n, across, down, depth } = shape,
    threads = across * down,
    lines = threads / depth,
    lanes = across * tile_n,
    tileRows = down * tile_m;
  // Threads that store one after another hold `depth` quads of k of two rows: these strides put them into different banks.
  const skip = depth === 4 ? 2 : 1,
    strides = tileRows + skip + 4 * lanes + 4 + 4 * skip;
  return {
    variant,
    lanes,
    tileRows,
    bytes: 16 * depth * strides,
    constants: {
      ...shape,
      threads,
      lines,
      skip,
      subgroup: narrowSubgroup(device),
      x_loads: tileRows / lines,
      w_loads: (4 * lanes) / lines,
    },
  };
}

/** Rows of workgroups of one dispatch, where all of them do so many floating-point operations. */
export const rowsAtOnce = ({ flopAtOnce }: Device, rows: number, flop: number): number =>
  Math.ceil(rows / Math.max(1, Math.ceil(flop / flopAtOnce)));
