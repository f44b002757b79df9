import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { elementwise } from './common.ts';
import transposeWgsl from './transpose.wgsl';

/**
 * The transpose of a matrix.
 * @param x [rows, cols], bf16 or f32
 * @returns [cols, rows], of x's type
 */
export function transpose(p: Recorder, x: Tensor): Tensor {
  const y = p.tensor('transpose', x.type, [x.cols, x.rows]);
  p.operation({
    name: 'transpose',
    label: x.name,
    source: transposeWgsl,
    read: [x],
    write: [y],
    ...elementwise(p, (x.pitch / 4) * (y.pitch / 4), { x: x.type }, [x.rows, x.cols, x.pitch / 4, y.pitch / 4]),
  });
  return y;
}
