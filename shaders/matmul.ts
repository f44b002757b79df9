import type { Device } from '../engine/device.ts';
import type { Constants, ShaderSource } from '../engine/pipeline.ts';
import type { Recorder } from '../engine/program.ts';
import { type ElementType, type Tensor, f32_bits } from '../engine/tensor.ts';
import { check_shape, quads } from './common.ts';
import matmul_rows_wgsl from './matmul_rows.wgsl';
import matmul_tiled_wgsl from './matmul_tiled.wgsl';
import matmul_wgsl from './matmul.wgsl';

/** A linear layer's weights, as the loader lays them out. */
export interface Linear {
  /** [out, in], or [out, in + rank] with PLoRA's B beside W. */
  weight: Tensor;
  /** [out] */
  bias?: Tensor;
  /** Elements of a row that are W's; the rest is B. Absent: all of them. */
  in_features?: number;
  lora?: LowRank;
}

/** PLoRA's low-rank parts (spec section 3.7). */
export interface LowRank {
  /** A of each fused projection, stacked: [projections × rank (in whole quads), in] */
  a: Tensor;
  /** Rank in whole quads of elements. */
  rank: number;
  /** alpha / rank */
  scale: number;
  /** Columns of y where each fused projection begins, the first is 0: at most three, each a multiple of four. */
  first_columns: number[];
}

/** `direct`: from memory, for CPUs; `tiled`: through workgroup memory; `rows`: eight rows at most, k split over threads. */
export type MatmulVariant = 'direct' | 'tiled' | 'rows';

export interface MatmulOptions {
  name?: string;
  act?: 'none' | 'gelu' | 'silu';
  /** Added last: y += residual, of y's shape. */
  residual?: Tensor;
  /** Multiplies act(…) before the residual is added: AdaLN's gate, columns from `first` of a wider tensor. */
  gate?: { tensor: Tensor; first: number; first_row?: number };
  /** Multiplies x Wᵀ; 1 unless given. */
  alpha?: number;
  /** Use the low-rank part: image tokens only. */
  lora?: boolean;
  /** Element type of y; that of x unless given. */
  type?: ElementType;
  /** Which kernel to use; the best for the device and the shape unless given. */
  variant?: MatmulVariant;
  /** Where to write; a new tensor unless given. */
  into?: Tensor;
}

/**
 * y = act(α x Wᵀ + b) ⊙ gate + residual, with PLoRA's `(alpha/rank) B(A x)` added to the sum where `lora` is set.
 * @param x [rows, in]
 * @returns [rows, out]
 */
export function matmul(p: Recorder, x: Tensor, linear: Linear, options: MatmulOptions = {}): Tensor {
  const { weight, bias } = linear, { act = 'none', residual, gate, alpha = 1, name = weight.name } = options;
  const in_features = linear.in_features ?? weight.cols, out_features = weight.rows;
  check_shape(x.cols === in_features, `matmul ${name}`, `x [rows, ${in_features}] with w [${out_features}, ${in_features}]`, x, weight);
  check_shape(!bias || (bias.cols === out_features && bias.type === weight.type), `matmul ${name}`, `a bias ${weight.type}[${out_features}]`, weight, bias ?? weight);
  check_shape(!residual || (residual.rows === x.rows && residual.cols === out_features), `matmul ${name}`, `a residual [${x.rows}, ${out_features}]`, x, residual ?? x);
  if (gate) {
    const { tensor: g, first, first_row = 0 } = gate;
    check_shape(g.type === x.type && g.rows >= first_row + x.rows && g.cols >= first + out_features, `matmul ${name}`, `a gate ${x.type}[${first_row + x.rows}, ${first + out_features}] or larger`, x, g);
  }
  const lora = options.lora ? linear.lora : undefined;
  const low = lora && matmul(p, x, { weight: lora.a }, { name: `${name} lora_A`, alpha: lora.scale });
  const y = options.into ?? p.tensor(name, residual?.type ?? options.type ?? x.type, [...x.shape.slice(0, -1), out_features]);
  check_shape(y.rows === x.rows && y.cols === out_features, `matmul ${name}`, `y [${x.rows}, ${out_features}]`, x, y);
  check_shape(!residual || residual.type === y.type, `matmul ${name}`, "a residual of y's type", y, residual ?? y);
  const variant = options.variant ?? (p.device.software ? 'direct' : x.rows > 8 ? 'tiled' : 'rows');
  const { source, lanes, tile_m, tile_rows = tile_m, ...constants } = kernels[variant](p.device, x, out_features);
  for (const { part, first_row } of weight.parts()) {
    const runs = column_runs(lora?.first_columns ?? [0], first_row, part.rows, lanes);
    const read = [x, part];
    const bind = (t: Tensor | undefined): number => (t ? read.push(t) - 1 : 0);
    const bindings = { bias: bind(bias), lora: bind(low), gate: bind(gate?.tensor), residual: bind(residual) };
    p.dispatch({
      name, source, read, write: [y], workgroups: [runs.tiles, Math.ceil(x.rows / tile_rows)],
      constants: { x_element: `${x.type}x4`, ...constants, tile_m, act, operands: low ? 'x low' : 'x', x: x.type, w: weight.type, y: y.type, ...bindings, out: read.length, uniforms: read.length + 1 },
      uniforms: [
        ...runs.first_tile, ...runs.first_quad, x.rows, part.rows, weight.pitch / 4, y.pitch / 4, first_row / 4, f32_bits(alpha),
        quads(in_features), x.pitch / 4, 0, (lora?.rank ?? 0) / 4, (low?.pitch ?? 0) / 4, quads(in_features), runs.skipped,
        (gate?.tensor.pitch ?? 0) / 4, gate ? ((gate.first_row ?? 0) * gate.tensor.pitch + gate.first) / 4 : 0,
      ],
    });
  }
  return y;
}

/** What a variant runs: `lanes` quads of columns × `tile_rows` rows a workgroup, `tile_m` rows a thread. */
interface Kernel {
  source: ShaderSource;
  lanes: number;
  tile_m: number;
  tile_rows?: number;
  [constant: string]: Constants[string] | ShaderSource | undefined;
}

/** Rows evenly over as few tiles as `most` rows a tile allow. */
const even_tile = (rows: number, most: number): number => Math.ceil(rows / Math.ceil(rows / most));

const kernels: Record<MatmulVariant, (device: Device, x: Tensor, out_features: number) => Kernel> = {
  direct({ subgroup_size: subgroup }, x, out_features) {
    // Wide vectors that share x gain from reading w less often, if the work is worth the compiling; narrow ones run out of registers.
    const tile_m = even_tile(Math.max(1, x.rows), subgroup < 8 ? 8 : x.rows < 256 ? 14 : 28), words = x.type === 'bf16' ? 2 : 4;
    // Long workgroups have less overhead, but there must be enough of them for all cores.
    const threads = quads(out_features) * Math.ceil(x.rows / tile_m) >= 64 * 16 ? 64 : 8, base = { source: matmul_wgsl, lanes: threads, threads, tile_m, words };
    if (!subgroup || subgroup > threads) return { ...base, subgroup: 0, loads: 0 };
    return { ...base, subgroup, loads: Math.ceil((tile_m * words) / subgroup), x_element: 'u32' };
  },
  tiled: (_, x) => {
    const tile_m = x.rows > 32 ? 8 : x.rows > 16 ? 4 : 2;
    return { source: matmul_tiled_wgsl, lanes: 16, tile_m, tile_rows: 8 * tile_m };
  },
  rows: (_, x) => ({ source: matmul_rows_wgsl, lanes: 1, tile_m: even_tile(Math.max(1, x.rows), 8) }),
};

/**
 * How the workgroups of one piece of w (rows `first_row` to `first_row + rows`) lie over its runs of columns: each run
 * begins with a workgroup of its own, so that a workgroup reads one low-rank part.
 */
function column_runs(first_columns: number[], first_row: number, rows: number, lanes: number) {
  const inside = first_columns.filter((c) => c > first_row && c < first_row + rows);
  const first_quad = [0, ...inside.map((c) => (c - first_row) / 4), quads(rows)], first_tile = [0];
  for (let i = 1; i < first_quad.length; i++) first_tile.push(first_tile[i - 1] + Math.ceil((first_quad[i] - first_quad[i - 1]) / lanes));
  const tiles = first_tile.pop()!;
  while (first_tile.length < 4) first_tile.push(0xffffffff);
  while (first_quad.length < 4) first_quad.push(quads(rows));
  return { tiles, first_tile, first_quad, skipped: first_columns.filter((c) => c <= first_row).length - 1 };
}
