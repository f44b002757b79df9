import type { Device } from '../engine/device.ts';
import type { ShaderSource } from '../engine/preprocessor.ts';
import type { Tensor } from '../engine/tensor.ts';
import { quads } from './common.ts';
import { narrowSubgroup, registers } from './gpu.ts';
import matmulWgsl from './matmul.wgsl';
import matmulRowsWgsl from './matmul_rows.wgsl';
import matmulTiledWgsl from './matmul_tiled.wgsl';
import { type Tiling, tilings } from './tiling.ts';

/** A way to multiply. */
export interface MatmulCandidate extends Tiling {
  source: ShaderSource;
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
  x: Pick<Tensor, 'rows' | 'type'>,
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

/** From memory, for CPUs. */
function direct(
  { subgroupSize: subgroup }: Device,
  x: Pick<Tensor, 'rows' | 'type'>,
  n: number,
  crowded = false,
  quadsEach = 1,
): MatmulCandidate {
  // Wide vectors that share x gain from reading w less often, if the work is worth the compiling; narrow ones run out of
  // registers, and so do more rows by eights or of two quads.
  const wide = quadsEach > 1 ? 14 : crowded || x.rows < 256 ? 16 : 26,
    tile_m = evenTile(Math.max(1, x.rows), subgroup < 8 ? 8 : wide),
    words = x.type === 'bf16' ? 2 : 4;
  // Long workgroups have less overhead, but none may idle, and there must be enough of them for all cores to end together.
  const across = quads(n) / quadsEach,
    threads = [64, 32, 16].find((t) => across % t === 0 && (across / t) * Math.ceil(x.rows / tile_m) >= 64) ?? 8,
    shares = subgroup > 0 && subgroup <= threads,
    sharing = shares ? { subgroup, loads: Math.ceil((tile_m * words) / subgroup), x_element: 'u32' } : undefined;
  const eight = 'vec4<u32>',
    byEights =
      crowded && shares && subgroup >= 8
        ? { eights: true, loads: Math.ceil(tile_m / subgroup), x_element: eight, stored: eight, loaded: eight }
        : undefined;
  return {
    variant: 'direct',
    source: matmulWgsl,
    lanes: threads * quadsEach,
    tileRows: tile_m,
    constants: { threads, tile_m, quads: quadsEach, words, subgroup: 0, loads: 0, ...sharing, ...byEights },
  };
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
