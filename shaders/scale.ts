import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { elementwise } from './common.ts';
import scaleWgsl from './scale.wgsl';

/** factor × x, of x's shape and type. */
export function scale(p: Recorder, x: Tensor, factor: number): Tensor {
  const y = p.tensor('scale', x.type, x.shape),
    count = x.rows * (x.pitch / 4);
  p.operation({
    name: 'scale',
    source: scaleWgsl,
    read: [x],
    write: [y],
    ...elementwise(p, count, { x: x.type }, [f32Bits(factor)]),
    gradient: (dy) => p.tape!.give(x, scale(p, dy, factor)),
  });
  return y;
}
