import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import scatterRowsWgsl from './scatter_rows.wgsl';
import scatterLinksWgsl from './scatter_rows_links.wgsl';

/** Which index each row has, as `gather_rows` reads it (lib/row_index.wgsl). */
export interface RowIndex {
  index: Tensor;
  /** u32 [all branches]; read only with a pitch */
  position: Tensor;
  /** Rows of a branch. */
  batch: number;
  /** Elements from one branch's indices to the next one's; 0: all share them. */
  pitch: number;
  /** Added to the indices of each branch but the first, again and again. */
  add: number;
  /** The first branch. */
  branch: number;
}

/** One index a row: u32 [rows], the same for every `batch` rows. */
export const plainIndex = (index: Tensor, batch = index.cols, add = 0): RowIndex => ({
  index,
  position: index,
  batch,
  pitch: 0,
  add,
  branch: 0,
});

/**
 * The gradient of a gather: y[index[r]] += x[r], rows of the same index in order.
 * @param x [rows, cols]
 * @param y [n, cols], added to in place
 * @param yRow the index of y's first row; rows of x with an index outside y have no part
 */
export function scatterRows(p: Recorder, x: Tensor, at: RowIndex, y: Tensor, yRow = 0): void {
  checkShape(x.cols === y.cols, 'scatter_rows', 'x and y of one width', x, y);
  const links = p.tensor('scatter links', 'u32', [x.rows, 4]);
  p.operation({
    name: 'scatter_links',
    source: scatterLinksWgsl,
    constants: {},
    read: [at.index, at.position],
    write: [links],
    uniforms: [x.rows, at.batch, at.pitch, at.add, at.branch],
    workgroups: [Math.ceil(x.rows / 32)],
  });
  for (const { part, firstRow } of y.parts()) {
    p.operation({
      name: 'scatter_rows',
      source: scatterRowsWgsl,
      read: [x, links],
      write: [part],
      ...elementwise(p, x.rows * (x.pitch / 4), { x: x.type, y: y.type }, [
        x.rows,
        x.pitch / 4,
        y.pitch / 4,
        yRow + firstRow,
        part.rows,
      ]),
    });
  }
}
