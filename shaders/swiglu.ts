import type { Recorder } from '../engine/program.ts';
import { roundUp, type Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import swigluWgsl from './swiglu.wgsl';
import { swigluBackward } from './swiglu_backward.ts';

/**
 * silu(gate) ⊙ up (Qwen2's MLP).
 * @param x [rows, gate | up]: gate in the first `width` columns (in whole quads), up behind them
 * @returns [rows, width]
 */
export function swiglu(p: Recorder, x: Tensor, width: number): Tensor {
  const up = roundUp(width, 4);
  checkShape(x.pitch === 2 * up, 'swiglu', `x [rows, ${2 * up}]`, x);
  const y = p.tensor('swiglu', x.type, [x.rows, width]);
  p.operation({
    name: 'swiglu',
    source: swigluWgsl,
    read: [x],
    write: [y],
    ...elementwise(p, x.rows * (y.pitch / 4), { x: x.type }, [y.pitch / 4, x.pitch / 4, up / 4]),
    gradient: (dy) => p.tape!.give(x, swigluBackward(p, x, dy)),
  });
  return y;
}
