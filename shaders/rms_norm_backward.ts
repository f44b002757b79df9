import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, grid, reducing } from './common.ts';
import rmsNormBackwardWgsl from './rms_norm_backward.wgsl';

/**
 * What leads back from y = x / sqrt(mean(x²) + eps) ⊙ weight.
 * @param x [rows, hidden]
 * @param weight [hidden]
 * @param dy [rows, hidden], of x's type
 * @param learns whether the weight's gradient is wanted
 * @returns dx [rows, hidden] of x's type, and f32 [rows, hidden] whose sum over the rows is the weight's gradient
 */
export function rmsNormBackward(
  p: Recorder,
  x: Tensor,
  weight: Tensor,
  eps: number,
  dy: Tensor,
  learns: boolean,
): { dx: Tensor; dweight?: Tensor } {
  const fits = weight.cols === x.cols && dy.type === x.type && dy.rows === x.rows && dy.cols === x.cols;
  checkShape(fits, 'rms_norm_backward', "a weight as wide as x, dy of x's shape and type", x, weight, dy);
  const dx = p.tensor('rms_norm dx', x.type, x.shape),
    dweight = learns ? p.tensor('rms_norm dweight', 'f32', x.shape) : undefined;
  const write = dweight ? [dx, dweight] : [dx];
  p.operation({
    name: 'rms_norm_backward',
    source: rmsNormBackwardWgsl,
    constants: { ...reducing(p), x: x.type, w: weight.type, learns, uniforms: 3 + write.length },
    read: [x, weight, dy],
    write,
    uniforms: [x.rows, x.pitch / 4, f32Bits(x.cols), f32Bits(eps)],
    workgroups: grid(p, x.rows, 1),
  });
  return { dx, dweight };
}
