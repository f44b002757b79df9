import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import columnSumWgsl from './column_sum.wgsl';
import { checkShape, elementwise, quads } from './common.ts';
import type { RowIndex } from './scatter_rows.ts';

export interface ColumnSumOptions {
  /** Of wider rows, the columns to sum: from `first` (in whole quads) on. */
  columns?: { first: number; count: number };
  /** Rows so many apart are added up, such as the same row of each picture: y has as many rows, of whole quads. */
  period?: number;
  /** Only the rows whose index has this value. */
  where?: { index: RowIndex; equals: number };
  /** f32 [1, columns] that the sum is added to; a new tensor unless given. */
  into?: Tensor;
}

/** Rows that one thread adds up: enough threads for a device's cores, the same on every adapter, since it decides the bits. */
const chunk = 32;

/**
 * The sum of each column, as a bias's gradient is: rows in chunks, then these, each in order.
 * @param x [rows, cols]
 * @returns f32 [cols], or [period, cols]
 */
export function columnSum(p: Recorder, x: Tensor, { columns, period, where, into }: ColumnSumOptions = {}): Tensor {
  // Rows of a period side by side are one row of as many columns.
  const across = period ?? 1,
    wide = { rows: x.rows / across, pitch: x.pitch * across },
    { first, count } = columns ?? { first: 0, count: period ? wide.pitch : x.cols };
  checkShape(
    first % 4 === 0 && first + count <= wide.pitch && Number.isInteger(wide.rows),
    'column_sum',
    `columns within x from a multiple of 4 on, rows in whole periods`,
    x,
  );
  const y = into ?? p.tensor('column_sum', 'f32', period ? [period, x.cols] : [count]);
  checkShape(y.type === 'f32' && y.rows * y.pitch === 4 * quads(count), 'column_sum', `a sum f32[${count}]`, x, y);
  const chunks = Math.max(1, Math.ceil(wide.rows / chunk));
  const partial = chunks > 1 ? p.tensor('column_sum partial', 'f32', [chunks, count]) : y;
  const sum = (
    of: Tensor,
    { rows, pitch }: typeof wide,
    to: Tensor,
    at: number,
    each: number,
    index?: RowIndex,
  ): void => {
    const read = index ? [of, index.index, index.position] : [of],
      parts = Math.max(1, Math.ceil(rows / each));
    p.operation({
      name: 'column_sum',
      source: columnSumWgsl,
      read,
      write: [to],
      ...elementwise(
        p,
        parts * quads(count),
        {
          x: of.type,
          chosen: index !== undefined,
          accumulate: into !== undefined && to === y,
          out: read.length,
          uniforms: read.length + 1,
        },
        [
          rows,
          quads(count),
          pitch / 4,
          at / 4,
          each,
          where?.equals ?? 0,
          index?.batch ?? 1,
          index?.pitch ?? 0,
          index?.add ?? 0,
          index?.branch ?? 0,
        ],
      ),
    });
  };
  sum(x, wide, partial, first, chunk, where?.index);
  if (partial !== y) sum(partial, partial, y, 0, chunks);
  return y;
}
