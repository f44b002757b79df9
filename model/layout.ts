import type { Tensor } from '../engine/tensor.ts';

/**
 * Where the indices of one axis of a checkpoint's tensor lie along an axis of a device tensor: an index is written in
 * digits, the last running fastest, and each digit has a stride. Heads that are padded to whole quads are
 * `[[heads, pitch], [dim, 1]]`, what lies as it is in the file `[[n, 1]]`.
 */
export interface Axis {
  first: number;
  digits: readonly (readonly [size: number, stride: number])[];
}

/** A checkpoint's tensor, or its first rows, as a block of a device tensor. */
export interface Block {
  name: string;
  /** As the checkpoint must have it. */
  shape: readonly number[];
  /** Rows that are taken, the first ones, and where they lie; they keep their order. */
  rows: Axis;
  /** Elements of a row. */
  cols: Axis;
}

/** Heads whose width is padded to whole quads: `heads` blocks of `dim` rows or columns. */
export interface HeadLayout {
  heads: number;
  dim: number;
}

/** n indices in their order, from `first` on. */
export const run = (n: number, first = 0): Axis => ({ first, digits: [[n, 1]] });

/** n indices from `first` on; in heads, each of these begins a quad. */
export const inHeads = (n: number, heads?: HeadLayout, first = 0): Axis =>
  heads && heads.dim % 4
    ? {
        first,
        digits: [
          [n / heads.dim, 4 * Math.ceil(heads.dim / 4)],
          [heads.dim, 1],
        ],
      }
    : run(n, first);

/** Indices of an axis. */
export const count = ({ digits }: Axis): number => digits.reduce((n, [size]) => n * size, 1);

/** Where index i lies. */
export function place({ first, digits }: Axis, i: number): number {
  let at = first;
  for (let d = digits.length - 1; d >= 0; d--) {
    const [size, stride] = digits[d];
    at += (i % size) * stride;
    i = Math.floor(i / size);
  }
  return at;
}

/** Where every index lies, or the first where they follow each other. */
function places(axis: Axis): number | Int32Array {
  const { first, digits } = axis;
  if (digits.length === 1 && digits[0][1] === 1) return first;
  return Int32Array.from({ length: count(axis) }, (_, i) => place(axis, i));
}

/** The first index that lies at or behind `at`; the axis must rise. */
export function lowerBound(axis: Axis, at: number): number {
  let low = 0,
    high = count(axis);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (place(axis, middle) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Elements as they lie in memory: bf16 as bits, or f32. */
export type Elements = Uint16Array | Float32Array;

/**
 * Puts rows `first` to `end` of a block into device rows.
 * @param values of the file, one row after another
 * @param target device rows from row `from` on, `tensor.pitch` elements each
 */
export function scatter(
  block: Block,
  first: number,
  end: number,
  values: Elements,
  tensor: Tensor,
  target: Elements,
  from: number,
): void {
  const to = places(block.cols),
    cols = count(block.cols);
  for (let r = first, i = 0; r < end; r++, i += cols) {
    const row = (place(block.rows, r) - from) * tensor.pitch;
    if (typeof to === 'number') target.set(values.subarray(i, i + cols), row + to);
    else for (let c = 0; c < cols; c++) target[row + to[c]] = values[i + c];
  }
}

/**
 * The inverse of `scatter`: the values of a block as the file has them.
 * @param source all rows of the device tensor
 */
export function gather<E extends Elements>(block: Block, tensor: Tensor, source: E): E {
  const from = places(block.cols),
    cols = count(block.cols),
    rows = count(block.rows);
  const values = new (source.constructor as new (n: number) => E)(rows * cols);
  for (let r = 0, i = 0; r < rows; r++, i += cols) {
    const row = place(block.rows, r) * tensor.pitch;
    if (typeof from === 'number') values.set(source.subarray(row + from, row + from + cols), i);
    else for (let c = 0; c < cols; c++) values[i + c] = source[row + from[c]];
  }
  return values;
}
