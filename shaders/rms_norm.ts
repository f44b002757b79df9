import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { columnSum } from './column_sum.ts';
import { checkShape, grid, reducing } from './common.ts';
import rmsNormWgsl from './rms_norm.wgsl';
import { rmsNormBackward } from './rms_norm_backward.ts';

/**
 * Root-mean-square norm, as Qwen2's: x / sqrt(mean(x²) + eps) ⊙ weight.
 * @param x [rows, hidden]
 * @param weight [hidden]
 * @returns [rows, hidden], of x's type; in `into` where it is given
 */
export function rmsNorm(p: Recorder, x: Tensor, weight: Tensor, eps: number, into?: Tensor): Tensor {
  checkShape(weight.cols === x.cols, 'rms_norm', 'a weight as wide as x', x, weight);
  const y = into ?? p.tensor('rms_norm', x.type, x.shape);
  p.operation({
    name: 'rms_norm',
    source: rmsNormWgsl,
    constants: { ...reducing(p), x: x.type, w: weight.type },
    read: [x, weight],
    write: [y],
    uniforms: [x.rows, x.pitch / 4, f32Bits(x.cols), f32Bits(eps)],
    workgroups: grid(p, x.rows, 1),
    gradient: (dy) => {
      const tape = p.tape!,
        { dx, dweight } = rmsNormBackward(p, x, weight, eps, dy, tape.wants(weight));
      tape.give(x, dx);
      if (dweight) columnSum(p, dweight, { into: tape.sink(weight) });
    },
  });
  return y;
}
