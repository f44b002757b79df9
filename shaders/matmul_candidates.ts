import type { Device } from '../engine/device.ts';
import type { ShaderSource } from '../engine/preprocessor.ts';
import type { Tensor } from '../engine/tensor.ts';
import { quads } from './common.ts';
import { isWide, narrowSubgroup, privateBytes, registers } from './gpu.ts';
import matmulWgsl from './matmul.wgsl';
import matmulRowsWgsl from './matmul_rows.wgsl';
import matmulTiledWgsl from './matmul_tiled.wgsl';
import { type Tiling, tilings } from './tiling.ts';

/** A way to multiply. */
export interface MatmulCandidate extends Tiling {
  source: ShaderSource;
  /** Tiles of columns that a workgroup takes, one after another; one unless given. */
  each?: number;
}

/** Most rows whose sums are split over threads on hardware: their number decides the order of a sum, and nothing else does. */
const mostSplitRows = 64;

/** Whether sums over k are split over threads: all candidates are of `matmul_rows.wgsl` then. */
export const splitsSums = (device: Device, rows: number): boolean => !device.software && rows <= mostSplitRows;

/**
 * What may multiply x [rows, k] by n columns, the best by rule first. All give the same bits: on hardware up to 64 rows are
 * summed in 32 interleaved parts, else sums go over k from first to last.
 * @param crowded whether weights had better be read by eights (see `isCrowded`)
 * @param pairs whether the columns are gate and up of SwiGLU, which meet in the product's own kernel
 */
export function matmulCandidates(
  device: Device,
  x: Pick<Tensor, 'rows' | 'cols' | 'type'>,
  n: number,
  crowded = false,
  pairs = false,
): MatmulCandidate[] {
  if (splitsSums(device, x.rows)) return split(device, x.rows);
  if (pairs) return [direct(device, x, n, false, 2)];
  const tiled = tilings(device, x.rows, n).map((tiling) => ({ ...tiling, source: matmulTiledWgsl }));
  return device.software ? [direct(device, x, n, crowded), ...tiled] : [...tiled, direct(device, x, n)];
}

/** Rows evenly over as few tiles as `most` rows a tile allow. */
const evenTile = (rows: number, most: number): number => Math.ceil(rows / Math.ceil(rows / most));

/**
 * Whether rows of weights lie so that a CPU's first cache has few places for the many that are read at once: it drops a line
 * before all of it was read, so the more is read at once, the better. Where all are bf16, their rows in whole eights.
 */
export const isCrowded = (weights: Tensor, others: (Tensor | undefined)[]): boolean =>
  weights.rowBytes % 1024 === 0 && [weights, ...others].every((t) => !t || (t.type === 'bf16' && t.pitch % 8 === 0));

/** Rows from which on a CPU's workgroups hold x. */
const leastHeldRows = 64;

/** Multiplications, a few milliseconds of a CPU, up to which compiling for one more number of rows takes longer than it gains. */
const leastWork = 2 ** 23;

const eight = 'vec4<u32>',
  /** Constants of a kernel that reads x and w by eights: two quads at each step of k. */
  byEights = { eights: true, step: 2, stride: 1, x_element: eight, stored: eight, loaded: eight };

/** From memory, for CPUs. */
function direct(
  device: Device,
  x: Pick<Tensor, 'rows' | 'cols' | 'type'>,
  n: number,
  crowded = false,
  quadsEach = 1,
): MatmulCandidate {
  const { subgroupSize: subgroup, software, cores } = device,
    words = x.type === 'bf16' ? 2 : 4,
    across = quads(n) / quadsEach;
  /** How so many threads share a tile's rows of x: what each loads of them at a step of k. */
  const sharing = (tile_m: number, threads: number) => {
    const loads = (parts: number): number => (threads ? Math.ceil((tile_m * parts) / threads) : 0);
    if (threads === 4 && tile_m % 4 === 0) return { step: 1, stride: words, subgroup: 4, swaps: true, loads: loads(1) };
    const ways = { subgroup: threads, broadcasts: threads > 0 };
    return crowded && threads >= 8
      ? { ...byEights, ...ways, loads: loads(1) }
      : { step: 1, stride: words, ...ways, loads: loads(words), ...(threads && { x_element: 'u32' }) };
  };
  const candidate = (
    threads: number,
    tile_m: number,
    shared: ReturnType<typeof sharing>,
    held = 0,
    each = 1,
  ): MatmulCandidate => ({
    variant: 'direct',
    source: matmulWgsl,
    lanes: threads * quadsEach,
    tileRows: tile_m,
    each,
    constants: { threads, tile_m, quads: quadsEach, words, held, swaps: false, broadcasts: false, ...shared },
  });

  // Few sizes of tiles and of what is held: each is a kernel to compile, which takes the longer the more it holds.
  if (isWide(device) && x.rows >= leastHeldRows) {
    const rows = quadsEach > 1 || x.rows < 256 ? 16 : 32,
      shared = sharing(rows, subgroup),
      elementBytes = shared.step > 1 ? 16 : 4,
      bytes = 1024 * Math.ceil((elementBytes * shared.loads * Math.ceil(quads(x.cols) / shared.step)) / 1024),
      each = tilesEach(Math.ceil(across / subgroup), Math.ceil(x.rows / rows), cores);
    if (bytes <= privateBytes) return candidate(subgroup, rows, shared, bytes / elementBytes, each);
  }
  // Threads that share x gain from reading w less often, if the work is worth the compiling; more rows by eights or of two
  // quads run out of registers.
  const wide = quadsEach > 1 ? 14 : crowded || x.rows < 256 ? 16 : 26,
    narrow = software && subgroup === 4 && quadsEach === 1 ? 16 : 8,
    even = evenTile(Math.max(1, x.rows), subgroup < 8 ? narrow : wide),
    little = x.rows < leastHeldRows && x.rows * x.cols * n <= leastWork;
  // Four threads take a row each. Little work, such as a small model's prompts, is of few sizes.
  let tile_m = even;
  if (little && even >= 4) tile_m = 4 * 2 ** Math.ceil(Math.log2(even / 4));
  else if (subgroup === 4 && even >= 4) tile_m = 4 * Math.ceil(even / 4);
  // One length of workgroups: longer ones gain a CPU nothing, and each length is a kernel to compile.
  const threads = software ? Math.max(8, subgroup) : 64;
  return candidate(threads, tile_m, sharing(tile_m, subgroup <= threads ? subgroup : 0));
}

/**
 * Tiles of columns that a workgroup takes of as many as there are for each of `groups` tiles of rows: many, since it holds x
 * anew, which takes half as long as a tile, but so that the cores end together.
 */
function tilesEach(tiles: number, groups: number, cores: number): number {
  let best = tiles,
    least = Number.POSITIVE_INFINITY;
  for (let parts = 1; parts <= tiles; parts++) {
    const each = Math.ceil(tiles / parts),
      time = Math.ceil((groups * Math.ceil(tiles / each)) / cores) * (each + 0.5);
    if (time < least) [best, least] = [each, time];
  }
  return best;
}

/** k split over 32 threads, for few rows. */
function split(device: Device, rows: number): MatmulCandidate[] {
  const tile_m = evenTile(Math.max(1, rows), registers(device) === 'few' ? 2 : 8),
    lanes = 2;
  const candidate = (variant: string, most: number): MatmulCandidate => ({
    variant,
    source: matmulRowsWgsl,
    lanes,
    tileRows: most,
    constants: { threads: 32 * lanes, lanes, tile_m: most, ahead: most > 2 ? 1 : 2, subgroup: narrowSubgroup(device) },
  });
  const others = [8, 4, 2, 1].filter((most) => most <= rows && most !== tile_m);
  return [candidate('rows', tile_m), ...others.map((most) => candidate(`rows_${most}`, most))];
}
