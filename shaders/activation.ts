import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import activationWgsl from './activation.wgsl';
import { checkShape, elementwise } from './common.ts';

/**
 * GELU (exact) or SiLU of each element: what a layer does in its epilogue, on its own where what stands before it is kept
 * for the way back.
 * @returns x's shape and type
 */
export function activation(p: Recorder, x: Tensor, act: 'gelu' | 'silu'): Tensor {
  return dispatch(p, act, x);
}

/**
 * act'(x) dy.
 * @param dy of x's shape and type
 */
export function activationBackward(p: Recorder, x: Tensor, act: 'gelu' | 'silu', dy: Tensor): Tensor {
  const fits = dy.type === x.type && dy.rows === x.rows && dy.cols === x.cols;
  checkShape(fits, 'activation_backward', "dy of x's shape and type", x, dy);
  return dispatch(p, act, x, dy);
}

function dispatch(p: Recorder, act: 'gelu' | 'silu', x: Tensor, dy?: Tensor): Tensor {
  const y = p.tensor(act, x.type, x.shape),
    read = dy ? [x, dy] : [x],
    count = x.rows * (x.pitch / 4);
  p.operation({
    name: dy ? 'activation_backward' : 'activation',
    source: activationWgsl,
    read,
    write: [y],
    ...elementwise(p, count, {
      x: x.type,
      act,
      backward: dy !== undefined,
      out: read.length,
      uniforms: read.length + 1,
    }),
    gradient: (d) => p.tape!.give(x, activationBackward(p, x, act, d)),
  });
  return y;
}
