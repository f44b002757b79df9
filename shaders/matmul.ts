import type { Candidate, Recorder } from '../engine/program.ts';
import { type ElementType, f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, quads } from './common.ts';
import { isCrowded, matmulCandidates, splitsSums } from './matmul_candidates.ts';
import type { FusedNorm } from './norm.ts';
import { rowsAtOnce } from './tiling.ts';
import { transpose } from './transpose.ts';

export type Activation = 'none' | 'gelu' | 'silu';

/** A factor for each element of y: columns from `first` of a wider tensor, row r from `firstRow` + r. */
export interface Gate {
  tensor: Tensor;
  first: number;
  firstRow?: number;
}

/** What becomes of a finished sum, in this order: y = act(alpha × sum + bias) ⊙ gate + residual. */
export interface Epilogue {
  alpha?: number;
  /** [n], of b's type */
  bias?: Tensor;
  act?: Activation;
  /** Of a's type. */
  gate?: Gate;
  /** [m, n], of y's type */
  residual?: Tensor;
}

/** A second product of low rank, added to the sum before the epilogue (PLoRA's B (A x), spec section 3.7). */
export interface LowRankTerm {
  /** [m, runs × rank], of a's type */
  a: Tensor;
  /** [n, rank], of b's type */
  b: Tensor;
  /** Columns of y where the runs begin, the first is 0: at most three, each a multiple of four. Run i has its own part of a. */
  firstColumns: number[];
}

export interface Gemm {
  /** [m, k], or [k, m] with `transposeA` */
  a: Tensor;
  /** [k, n], or [n, k] with `transposeB`: how a layer's weights lie */
  b: Tensor;
  transposeA?: boolean;
  transposeB?: boolean;
  /** Only with `transposeB`. */
  plus?: LowRankTerm;
  /** Normalizes a's rows first. Only with `transposeB`, without `plus`. */
  norm?: FusedNorm;
  epilogue?: Epilogue;
  /** SwiGLU: y is silu(first) ⊙ second of so many columns each, the second's from a whole quad on. Where `canPair`, on its own. */
  pairs?: number;
  /** Adds to what `into` holds. */
  accumulate?: boolean;
  /** Where to write; a new tensor unless given. */
  into?: Tensor;
  /** Element type of y: that of `into`, of the residual or of a unless given. */
  type?: ElementType;
  /** What it is for, in reports; b's name unless given. */
  label?: string;
  /** Multiplies blocks of the operands: with plain b in one piece, without `plus` and epilogue but alpha. */
  block?: Block;
}

/** A product of blocks: its sizes, and the [row, column] of a (transposed already), b and y at which they begin, columns in whole quads. */
export interface Block {
  m: number;
  k: number;
  n: number;
  a?: [number, number];
  b?: [number, number];
  y?: [number, number];
}

/**
 * The product of two matrices, either side transposed: y = act(alpha × (a b + plus) + bias) ⊙ gate + residual.
 *
 * The order of each sum depends on the shape and the kind of adapter alone: over k from first to last, but on hardware up
 * to 64 rows are summed in 32 interleaved parts (`matmul_rows.wgsl`), which a tree adds up.
 * @returns [m, n]; with `plus` its sum follows a b's. Throws `shape` where operands or types do not fit each other
 */
export function gemm(p: Recorder, g: Gemm): Tensor {
  const a = g.transposeA ? transpose(p, g.a) : g.a,
    { b, transposeB = false, plus, norm, epilogue = {}, pairs, accumulate = false, label = b.name } = g;
  const { alpha = 1, bias, act = 'none', gate, residual } = epilogue;
  const { m, n } = g.block ?? { m: a.rows, n: transposeB ? b.rows : b.cols },
    what = `matmul ${label}`,
    columns = pairs ?? n;
  if (g.block) checkBlock(what, a, g, g.block);
  else checkOperands(what, a, n, g);
  const y = g.into ?? p.tensor(label, g.type ?? residual?.type ?? a.type, [...a.shape.slice(0, -1), columns]);
  checkShape(g.block !== undefined || (y.rows === m && y.cols === columns), what, `y [${m}, ${columns}]`, a, y);
  if (pairs !== undefined) {
    const apart = 4 * quads(pairs),
      alone =
        !plus && transposeB && Object.keys(epilogue).every((key) => epilogue[key as keyof Epilogue] === undefined);
    checkShape(
      alone && canPair(p, a, b) && n === apart + pairs,
      what,
      `w [${apart} + ${pairs}, ${a.cols}], few rows, and nothing after it`,
      a,
      b,
    );
  }
  checkShape(!g.type || g.type === y.type, what, `y of type ${g.type}`, y);
  checkShape(!residual || residual.type === y.type, what, "a residual of y's type", y, residual ?? y);
  checkShape(!accumulate || (g.into !== undefined && !residual), what, 'accumulate with into, without residual', y);

  const crowded = transposeB && isCrowded(b, [a, plus?.a, plus?.b]);
  const segments: Segment[] = transposeB ? rowSegments(b, plus?.b) : b.parts().map((of) => ({ ...of, rows: n }));
  segments.forEach((segment, i) => {
    const { part, firstRow, rows } = segment;
    const read = [a, part];
    const bind = (t: Tensor | undefined): number => (t ? read.push(t) - 1 : 0);
    const bindings = {
      low: bind(plus?.a),
      up: bind(segment.up),
      bias: bind(bias),
      gate: bind(gate?.tensor),
      residual: bind(residual),
      norm_weight: bind(norm?.weight),
      norm_bias: bind(norm?.bias),
      modulation: bind(norm?.modulation),
    };
    const constants = {
      x: a.type,
      w: b.type,
      y: y.type,
      act,
      operands: plus ? 'x low' : 'x',
      weights: plus ? 'w up' : 'w',
      transposed: transposeB,
      accumulate: accumulate || (!transposeB && i > 0),
      ...bindings,
      norm: norm !== undefined,
      rms: norm?.rms ?? false,
      pairs: pairs !== undefined,
      out: read.length,
      uniforms: read.length + 1,
    };
    // Untransposed, the pieces of b are parts of the sum; else they are columns of y.
    const first = transposeB ? firstRow : 0,
      k = g.block?.k ?? (transposeB ? a.cols : part.rows);
    const begin = (t: Tensor, at: [number, number] = [0, 0]): number => (at[0] * t.pitch + at[1]) / 4;
    const uniforms = [
      m,
      rows,
      b.pitch / 4,
      segment.row ?? 0,
      begin(b, g.block?.b),
      y.pitch / 4,
      first / 4 + begin(y, g.block?.y),
      f32Bits(alpha),
      quads(k),
      a.pitch / 4,
      (transposeB ? 0 : firstRow / 4) + begin(a, g.block?.a),
      transposeB ? 0 : k,
      quads(plus?.b.cols ?? 0),
      (plus?.a.pitch ?? 0) / 4,
      (plus?.b.pitch ?? 0) / 4,
      segment.upRow ?? 0,
      (gate?.tensor.pitch ?? 0) / 4,
      gate ? ((gate.firstRow ?? 0) * gate.tensor.pitch + gate.first) / 4 : 0,
      ...(norm?.uniforms ?? [0, 0, 0, 0, 0]),
      quads(pairs ?? 0),
      0,
    ];
    p.operation({
      name: 'matmul',
      label,
      read,
      write: [y],
      uniforms,
      shape: { m, k, n, x: a.type, w: b.type, ...(norm && { norm: norm.rms ? 'rms' : 'layer' }) },
      candidates: (
        norm?.candidates ??
        matmulCandidates(p.device, { rows: m, cols: k, type: a.type }, n, crowded, pairs !== undefined)
      ).map(({ variant, source, lanes, tileRows, each = 1, constants: own }): Candidate => {
        const runs = columnRuns(plus?.firstColumns ?? [0], first, rows, lanes);
        return {
          variant,
          source,
          constants: {
            x_element: `${a.type}x4`,
            stored: `${b.type}x4`,
            loaded: 'vec4<f32>',
            k_quads: 0,
            norm_lanes: 1,
            ...own,
            ...constants,
          },
          uniforms: [...runs.firstTile, ...runs.firstQuad, runs.skipped, each, ...uniforms],
          workgroups: [Math.ceil(runs.tiles / each), Math.ceil(m / tileRows)],
          rowsAtOnce: rowsAtOnce(p.device, Math.ceil(m / tileRows), 2 * m * n * k),
        };
      }),
    });
  });
  return y;
}

/** Whether SwiGLU can be part of a product's kernel: on software, on hardware where rows are few; where the weights lie in one buffer. */
export const canPair = ({ device }: Recorder, x: Tensor, weights: Tensor): boolean =>
  (device.software || splitsSums(device, x.rows)) && x.rows > 0 && weights.pieces.length === 1;

function checkOperands(what: string, a: Tensor, n: number, { b, transposeB, plus, epilogue = {} }: Gemm): void {
  const { bias, act = 'none', gate, residual } = epilogue,
    k = transposeB ? b.cols : b.rows;
  checkShape(
    a.cols === k,
    what,
    transposeB ? `x [rows, ${k}] with w [${n}, ${k}]` : `a [rows, ${k}] with b [${k}, ${n}]`,
    a,
    b,
  );
  if (bias) checkShape(bias.cols === n && bias.type === b.type, what, `a bias ${b.type}[${n}]`, b, bias);
  if (residual)
    checkShape(residual.rows === a.rows && residual.cols === n, what, `a residual [${a.rows}, ${n}]`, a, residual);
  if (gate) {
    const { tensor: t, first, firstRow = 0 } = gate;
    checkShape(
      t.type === a.type && t.rows >= firstRow + a.rows && t.cols >= first + n,
      what,
      `a gate ${a.type}[${firstRow + a.rows}, ${first + n}] or larger`,
      a,
      t,
    );
    checkShape(first % 4 === 0, what, `a gate from a multiple of four on, not ${first}`, t);
  }
  if (plus) {
    const { a: low, b: up, firstColumns } = plus;
    checkShape(transposeB === true, what, 'transposeB beside a low-rank term', a, b);
    checkShape(
      up.rows === n && up.type === b.type && low.rows === a.rows && low.type === a.type,
      what,
      `a low-rank term ${a.type}[${a.rows}, runs × rank] × ${b.type}[${n}, rank]`,
      low,
      up,
    );
    checkShape(
      low.pitch === firstColumns.length * up.pitch,
      what,
      `${firstColumns.length} runs of ${up.pitch} columns`,
      low,
      up,
    );
    const apart = firstColumns.every((c, i) => c % 4 === 0 && (i ? c > firstColumns[i - 1] : c === 0));
    checkShape(
      apart && firstColumns.length <= 3,
      what,
      `one to three runs of columns from 0 in whole quads, not ${firstColumns}`,
      up,
    );
  }
  const plain = !bias && !gate && !residual && act === 'none';
  checkShape(
    transposeB === true || b.pieces.length === 1 || plain,
    what,
    `no epilogue where b, which is summed over, lies in ${b.pieces.length} pieces`,
    b,
  );
}

function checkBlock(
  what: string,
  a: Tensor,
  { b, transposeB, plus, epilogue, into, accumulate }: Gemm,
  block: Block,
): void {
  const { m, k, n, a: atA = [0, 0], b: atB = [0, 0], y: atY = [0, 0] } = block;
  const within = (t: Tensor, [row, column]: [number, number], rows: number, columns: number): boolean =>
    column % 4 === 0 && row + rows <= t.rows && column + columns <= t.pitch && t.pieces.length === 1;
  const plain = !transposeB && !plus && Object.keys(epilogue ?? {}).every((key) => key === 'alpha');
  checkShape(
    plain && within(a, atA, m, k) && within(b, atB, k, n) && (!into || within(into, atY, m, n)),
    what,
    `blocks a [${m}, ${k}] from ${atA}, b [${k}, ${n}] from ${atB}, y from ${atY}, in whole tensors`,
    a,
    b,
    into ?? a,
  );
  checkShape(into !== undefined || !accumulate, what, 'accumulate with into', a);
}

/** Rows of b that lie in one buffer, and so do those of `up`; `row` and `upRow`: where in these they begin. */
interface Segment {
  part: Tensor;
  firstRow: number;
  rows: number;
  row?: number;
  up?: Tensor;
  upRow?: number;
}

function rowSegments(b: Tensor, up: Tensor | undefined): Segment[] {
  if (!up) return b.parts().map(({ part, firstRow }) => ({ part, firstRow, rows: part.rows }));
  return b.parts().flatMap((of) =>
    up.parts().flatMap(({ part, firstRow }): Segment[] => {
      const from = Math.max(of.firstRow, firstRow),
        to = Math.min(of.firstRow + of.part.rows, firstRow + part.rows);
      if (from >= to) return [];
      return [
        { part: of.part, firstRow: from, rows: to - from, row: from - of.firstRow, up: part, upRow: from - firstRow },
      ];
    }),
  );
}

/**
 * How the tiles of columns `first` to `first + columns` of y lie over its runs: each run begins with a tile of its own, so that
 * a tile reads one low-rank part.
 */
function columnRuns(firstColumns: number[], first: number, columns: number, lanes: number) {
  const inside = firstColumns.filter((c) => c > first && c < first + columns);
  const firstQuad = [0, ...inside.map((c) => (c - first) / 4), quads(columns)],
    firstTile = [0];
  for (let i = 1; i < firstQuad.length; i++)
    firstTile.push(firstTile[i - 1] + Math.ceil((firstQuad[i] - firstQuad[i - 1]) / lanes));
  const tiles = firstTile.pop()!;
  while (firstTile.length < 3) firstTile.push(0xffffffff);
  firstTile.push(tiles);
  while (firstQuad.length < 4) firstQuad.push(quads(columns));
  return { tiles, firstTile, firstQuad, skipped: firstColumns.filter((c) => c <= first).length - 1 };
}
