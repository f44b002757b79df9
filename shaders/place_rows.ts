import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import placeRowsWgsl from './place_rows.wgsl';

/**
 * Writes the first rows of x to the rows `index` of y, and marks these as known.
 * @param x f32 [≥ m, d]
 * @param index u32 [m]
 * @param y f32 [L, d], written in place
 * @param mask u32 [L], cleared at `index`
 */
export function placeRows(p: Recorder, x: Tensor, index: Tensor, y: Tensor, mask: Tensor): void {
  checkShape(
    x.type === 'f32' && y.type === 'f32' && x.cols === y.cols && index.cols <= x.rows,
    'place_rows',
    'x [m, d], index [m], y [L, d]',
    x,
    index,
    y,
  );
  p.operation({
    name: 'place_rows',
    source: placeRowsWgsl,
    read: [x, index],
    write: [y, mask],
    ...elementwise(p, index.cols * (x.pitch / 4), {}, [x.pitch / 4]),
  });
}
