import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import swigluBackwardWgsl from './swiglu_backward.wgsl';

/**
 * What leads back from silu(gate) ⊙ up.
 * @param x [rows, gate | up], as `swiglu` takes it
 * @param dy [rows, width], of x's type
 * @returns [rows, dgate | dup], of x's shape and type
 */
export function swigluBackward(p: Recorder, x: Tensor, dy: Tensor): Tensor {
  const fits = x.pitch === 2 * dy.pitch && dy.rows === x.rows && dy.type === x.type;
  checkShape(fits, 'swiglu_backward', `dy ${x.type}[${x.rows}, ${x.pitch / 2}]`, x, dy);
  const dx = p.tensor('swiglu dx', x.type, x.shape);
  p.operation({
    name: 'swiglu_backward',
    source: swigluBackwardWgsl,
    read: [x, dy],
    write: [dx],
    ...elementwise(p, x.rows * (dy.pitch / 4), { x: x.type }, [dy.pitch / 4, x.pitch / 4, dy.pitch / 4]),
  });
  return dx;
}
