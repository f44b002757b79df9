import type { Device } from '../engine/device.ts';
import type { Constants, ShaderSource } from '../engine/pipeline.ts';
import type { Recorder } from '../engine/program.ts';
import { type ElementType, f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, quads } from './common.ts';
import matmulWgsl from './matmul.wgsl';
import matmulRowsWgsl from './matmul_rows.wgsl';
import matmulTiledWgsl from './matmul_tiled.wgsl';

/** A linear layer's weights, as the loader lays them out. */
export interface Linear {
  /** [out, in], or [out, in + rank] with PLoRA's B beside W. */
  weight: Tensor;
  /** [out] */
  bias?: Tensor;
  /** Elements of a row that are W's; the rest is B. Absent: all of them. */
  inFeatures?: number;
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
  firstColumns: number[];
}

/** `direct`: from memory, for CPUs; `tiled`: through workgroup memory; `rows`: eight rows at most, k split over threads. */
export type MatmulVariant = 'direct' | 'tiled' | 'rows';

export interface MatmulOptions {
  name?: string;
  act?: 'none' | 'gelu' | 'silu';
  /** Added last: y += residual, of y's shape. */
  residual?: Tensor;
  /** Multiplies act(…) before the residual is added: AdaLN's gate, columns from `first` of a wider tensor. */
  gate?: { tensor: Tensor; first: number; firstRow?: number };
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
  const { weight, bias } = linear,
    { act = 'none', residual, gate, alpha = 1, name = weight.name } = options;
  const inFeatures = linear.inFeatures ?? weight.cols,
    outFeatures = weight.rows;
  checkShape(
    x.cols === inFeatures,
    `matmul ${name}`,
    `x [rows, ${inFeatures}] with w [${outFeatures}, ${inFeatures}]`,
    x,
    weight,
  );
  checkShape(
    !bias || (bias.cols === outFeatures && bias.type === weight.type),
    `matmul ${name}`,
    `a bias ${weight.type}[${outFeatures}]`,
    weight,
    bias ?? weight,
  );
  checkShape(
    !residual || (residual.rows === x.rows && residual.cols === outFeatures),
    `matmul ${name}`,
    `a residual [${x.rows}, ${outFeatures}]`,
    x,
    residual ?? x,
  );
  if (gate) {
    const { tensor: g, first, firstRow = 0 } = gate;
    checkShape(
      g.type === x.type && g.rows >= firstRow + x.rows && g.cols >= first + outFeatures,
      `matmul ${name}`,
      `a gate ${x.type}[${firstRow + x.rows}, ${first + outFeatures}] or larger`,
      x,
      g,
    );
  }
  const lora = options.lora ? linear.lora : undefined;
  const low = lora && matmul(p, x, { weight: lora.a }, { name: `${name} lora_A`, alpha: lora.scale });
  const y =
    options.into ?? p.tensor(name, residual?.type ?? options.type ?? x.type, [...x.shape.slice(0, -1), outFeatures]);
  checkShape(y.rows === x.rows && y.cols === outFeatures, `matmul ${name}`, `y [${x.rows}, ${outFeatures}]`, x, y);
  checkShape(!residual || residual.type === y.type, `matmul ${name}`, "a residual of y's type", y, residual ?? y);
  const variant = options.variant ?? (p.device.software ? 'direct' : x.rows > 8 ? 'tiled' : 'rows');
  const { source, lanes, tile_m, tileRows = tile_m, ...constants } = kernels[variant](p.device, x, outFeatures);
  for (const { part, firstRow } of weight.parts()) {
    const runs = columnRuns(lora?.firstColumns ?? [0], firstRow, part.rows, lanes);
    const read = [x, part];
    const bind = (t: Tensor | undefined): number => (t ? read.push(t) - 1 : 0);
    const bindings = { bias: bind(bias), lora: bind(low), gate: bind(gate?.tensor), residual: bind(residual) };
    p.dispatch({
      name,
      source,
      read,
      write: [y],
      workgroups: [runs.tiles, Math.ceil(x.rows / tileRows)],
      constants: {
        x_element: `${x.type}x4`,
        ...constants,
        tile_m,
        act,
        operands: low ? 'x low' : 'x',
        x: x.type,
        w: weight.type,
        y: y.type,
        ...bindings,
        out: read.length,
        uniforms: read.length + 1,
      },
      uniforms: [
        ...runs.firstTile,
        ...runs.firstQuad,
        x.rows,
        part.rows,
        weight.pitch / 4,
        y.pitch / 4,
        firstRow / 4,
        f32Bits(alpha),
        quads(inFeatures),
        x.pitch / 4,
        0,
        (lora?.rank ?? 0) / 4,
        (low?.pitch ?? 0) / 4,
        quads(inFeatures),
        runs.skipped,
        (gate?.tensor.pitch ?? 0) / 4,
        gate ? ((gate.firstRow ?? 0) * gate.tensor.pitch + gate.first) / 4 : 0,
      ],
    });
  }
  return y;
}

/** What a variant runs: `lanes` quads of columns × `tileRows` rows a workgroup, `tile_m` rows a thread. */
interface Kernel {
  source: ShaderSource;
  lanes: number;
  tile_m: number;
  tileRows?: number;
  [constant: string]: Constants[string] | ShaderSource | undefined;
}

/** Rows evenly over as few tiles as `most` rows a tile allow. */
const evenTile = (rows: number, most: number): number => Math.ceil(rows / Math.ceil(rows / most));

const kernels: Record<MatmulVariant, (device: Device, x: Tensor, outFeatures: number) => Kernel> = {
  direct({ subgroupSize: subgroup }, x, outFeatures) {
    // Wide vectors that share x gain from reading w less often, if the work is worth the compiling; narrow ones run out of registers.
    const tile_m = evenTile(Math.max(1, x.rows), subgroup < 8 ? 8 : x.rows < 256 ? 14 : 28),
      words = x.type === 'bf16' ? 2 : 4;
    // Long workgroups have less overhead, but there must be enough of them for all cores.
    const threads = quads(outFeatures) * Math.ceil(x.rows / tile_m) >= 64 * 16 ? 64 : 8,
      base = { source: matmulWgsl, lanes: threads, threads, tile_m, words };
    if (!subgroup || subgroup > threads) return { ...base, subgroup: 0, loads: 0 };
    return { ...base, subgroup, loads: Math.ceil((tile_m * words) / subgroup), x_element: 'u32' };
  },
  tiled: (_, x) => {
    const tile_m = x.rows > 32 ? 8 : x.rows > 16 ? 4 : 2;
    return { source: matmulTiledWgsl, lanes: 16, tile_m, tileRows: 8 * tile_m };
  },
  rows: (_, x) => ({ source: matmulRowsWgsl, lanes: 1, tile_m: evenTile(Math.max(1, x.rows), 8) }),
};

/**
 * How the workgroups of one piece of w (rows `firstRow` to `firstRow + rows`) lie over its runs of columns: each run
 * begins with a workgroup of its own, so that a workgroup reads one low-rank part.
 */
function columnRuns(firstColumns: number[], firstRow: number, rows: number, lanes: number) {
  const inside = firstColumns.filter((c) => c > firstRow && c < firstRow + rows);
  const firstQuad = [0, ...inside.map((c) => (c - firstRow) / 4), quads(rows)],
    firstTile = [0];
  for (let i = 1; i < firstQuad.length; i++)
    firstTile.push(firstTile[i - 1] + Math.ceil((firstQuad[i] - firstQuad[i - 1]) / lanes));
  const tiles = firstTile.pop()!;
  while (firstTile.length < 4) firstTile.push(0xffffffff);
  while (firstQuad.length < 4) firstQuad.push(quads(rows));
  return { tiles, firstTile, firstQuad, skipped: firstColumns.filter((c) => c <= firstRow).length - 1 };
}
