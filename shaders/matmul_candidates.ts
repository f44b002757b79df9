import type { Device } from '../engine/device.ts';
import type { Constants, ShaderSource } from '../engine/pipeline.ts';
import type { Tensor } from '../engine/tensor.ts';
import { quads } from './common.ts';
import { narrowSubgroup, registers } from './gpu.ts';
import matmulWgsl from './matmul.wgsl';
import matmulRowsWgsl from './matmul_rows.wgsl';
import matmulTiledWgsl from './matmul_tiled.wgsl';

/** A way to multiply: `lanes` quads of columns × `tileRows` rows a workgroup. */
export interface MatmulCandidate {
  variant: string;
  source: ShaderSource;
  lanes: number;
  tileRows: number;
  /** The shader's own. */
  constants: Constants;
}

/** Most rows whose sums are split over threads on hardware: their number decides the order of a sum, and nothing else does. */
const mostSplitRows = 64;

/**
 * What may multiply x [rows, k] by n columns, the best by rule first. All give the same bits: on hardware up to 64 rows are
 * summed in 32 interleaved parts, else sums go over k from first to last.
 */
export function matmulCandidates(device: Device, x: Tensor, n: number): MatmulCandidate[] {
  if (device.software) return [direct(device, x, n), ...tiles(device, x.rows, n)];
  return x.rows > mostSplitRows ? [...tiles(device, x.rows, n), direct(device, x, n)] : split(device, x.rows);
}

/** Rows evenly over as few tiles as `most` rows a tile allow. */
const evenTile = (rows: number, most: number): number => Math.ceil(rows / Math.ceil(rows / most));

/** From memory, for CPUs. */
function direct({ subgroupSize: subgroup }: Device, x: Tensor, n: number): MatmulCandidate {
  // Wide vectors that share x gain from reading w less often, if the work is worth the compiling; narrow ones run out of registers.
  const tile_m = evenTile(Math.max(1, x.rows), subgroup < 8 ? 8 : x.rows < 256 ? 14 : 28),
    words = x.type === 'bf16' ? 2 : 4;
  // Long workgroups have less overhead, but there must be enough of them for all cores.
  const threads = quads(n) * Math.ceil(x.rows / tile_m) >= 64 * 16 ? 64 : 8,
    shares = subgroup > 0 && subgroup <= threads,
    sharing = shares ? { subgroup, loads: Math.ceil((tile_m * words) / subgroup), x_element: 'u32' } : undefined;
  return {
    variant: 'direct',
    source: matmulWgsl,
    lanes: threads,
    tileRows: tile_m,
    constants: { threads, tile_m, words, subgroup: 0, loads: 0, ...sharing },
  };
}

/** Tiles through workgroup memory: rows × quads of a thread, threads of a workgroup, quads of k staged at once. */
const tilings = {
  tiled: { tile_m: 8, tile_n: 2, across: 16, down: 16, depth: 4 },
  tiled_small: { tile_m: 8, tile_n: 2, across: 8, down: 8, depth: 4 },
  tiled_one: { tile_m: 8, tile_n: 1, across: 16, down: 8, depth: 4 },
  tiled_four: { tile_m: 4, tile_n: 1, across: 16, down: 16, depth: 8 },
};

/** Workgroups that keep a large GPU's cores at work. */
const enoughWorkgroups = 128;

function tiles(device: Device, rows: number, n: number): MatmulCandidate[] {
  const all = Object.entries(tilings).map(([variant, tiling]) => tile(device, variant, tiling));
  const fits = all.filter(({ bytes }) => bytes <= device.limits.maxComputeWorkgroupStorageSize);
  const workgroups = ({ lanes, tileRows }: MatmulCandidate): number =>
    Math.ceil(quads(n) / lanes) * Math.ceil(rows / tileRows);
  const order = {
    many: ['tiled', 'tiled_small', 'tiled_one', 'tiled_four'],
    some: ['tiled_one', 'tiled_four', 'tiled_small', 'tiled'],
    few: ['tiled_four', 'tiled_one', 'tiled_small', 'tiled'],
  }[registers(device)];
  const rank = (c: MatmulCandidate): number =>
    order.indexOf(c.variant) + (c.variant === 'tiled' && workgroups(c) < enoughWorkgroups ? order.length : 0);
  return fits.sort((a, b) => rank(a) - rank(b)).map(({ bytes: _, ...candidate }) => candidate);
}

function tile(device: Device, variant: string, tiling: typeof tilings.tiled): MatmulCandidate & { bytes: number } {
  const { tile_m, tile_n, across, down, depth } = tiling,
    threads = across * down,
    lines = threads / depth,
    lanes = across * tile_n,
    tileRows = down * tile_m;
  // Threads that store one after another hold `depth` quads of k of two rows: these strides put them into different banks.
  const skip = depth === 4 ? 2 : 1,
    strides = tileRows + skip + 4 * lanes + 4 + 4 * skip;
  return {
    variant,
    source: matmulTiledWgsl,
    lanes,
    tileRows,
    bytes: 16 * depth * strides,
    constants: {
      ...tiling,
      threads,
      lines,
      skip,
      subgroup: narrowSubgroup(device),
      x_loads: tileRows / lines,
      w_loads: (4 * lanes) / lines,
    },
  };
}

/** k split over 32 threads, for few rows. */
function split(device: Device, rows: number): MatmulCandidate[] {
  const tile_m = evenTile(Math.max(1, rows), registers(device) === 'few' ? 4 : 8),
    lanes = 2;
  const candidate = (variant: string, most: number): MatmulCandidate => ({
    variant,
    source: matmulRowsWgsl,
    lanes,
    tileRows: most,
    constants: { threads: 32 * lanes, lanes, tile_m: most, ahead: most > 2 ? 1 : 4, subgroup: narrowSubgroup(device) },
  });
  const others = [8, 4, 2, 1].filter((most) => most <= rows && most !== tile_m);
  return [candidate('rows', tile_m), ...others.map((most) => candidate(`rows_${most}`, most))];
}
