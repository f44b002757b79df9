import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import addWgsl from './add.wgsl';
import { checkShape, elementwise } from './common.ts';

/**
 * a + b, as gradients of a tensor that is used several times add up.
 * @param a [rows, cols]
 * @param b [rows, cols], of any type
 * @param into where given, `into += b`, and a is not read
 * @returns [rows, cols] of a's type
 */
export function add(p: Recorder, a: Tensor, b: Tensor, into?: Tensor): Tensor {
  const y = into ?? p.tensor('add', a.type, a.shape),
    accumulate = into !== undefined;
  checkShape(y.rows === b.rows && y.cols === b.cols, 'add', 'two of one shape', y, b);
  const count = y.rows * (y.pitch / 4);
  p.operation({
    name: 'add',
    source: addWgsl,
    read: accumulate ? [b] : [a, b],
    inputs: accumulate ? [] : [a, b],
    write: [y],
    ...elementwise(p, count, { accumulate, y: y.type, b: b.type, uniforms: accumulate ? 2 : 3 }),
    gradient: (dy) => {
      p.tape!.give(a, dy);
      p.tape!.give(b, dy);
    },
  });
  return y;
}
