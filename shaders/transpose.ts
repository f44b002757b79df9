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
  const launch = elementwise(p, (x.pitch / 4) * (y.pitch / 4));
  p.operation({
    name: 'transpose',
    label: x.name,
    source: transposeWgsl,
    constants: { ...launch.constants, x: x.type },
    read: [x],
    write: [y],
    uniforms: [...launch.uniforms, x.rows, x.cols, x.pitch / 4, y.pitch / 4],
    workgroups: launch.workgroups,
  });
  return y;
}
