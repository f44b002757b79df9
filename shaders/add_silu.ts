import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { activationBackward } from './activation.ts';
import { add } from './add.ts';
import addSiluWgsl from './add_silu.wgsl';
import { checkShape, elementwise } from './common.ts';

/**
 * SiLU(a[r] + b[first + s]) for every row r of a and every s under `steps`: AdaLN's condition at some steps in a row.
 * @param a [rows, width]
 * @param b [times, width]
 * @param first u32 [1], read on the device
 * @param stride 1: each row has a time of its own, the next row of b
 * @returns [steps × rows, width], step by step
 */
export function addSilu(p: Recorder, a: Tensor, b: Tensor, first: Tensor, steps: number, stride: 0 | 1 = 0): Tensor {
  checkShape(
    a.cols === b.cols && a.type === b.type && first.type === 'u32',
    'add_silu',
    'a and b of one width and type',
    a,
    b,
  );
  const alike = steps === 1 && stride === 1 && a.rows === b.rows;
  const y = p.tensor('add_silu', a.type, [steps * a.rows, a.cols]);
  p.operation({
    name: 'add_silu',
    source: addSiluWgsl,
    read: [a, b, first],
    write: [y],
    ...elementwise(p, steps * a.rows * (a.pitch / 4), { x: a.type }, [a.rows, a.pitch / 4, b.rows, stride]),
    inputs: [a, b],
    gradient: (dy) => {
      checkShape(alike, 'add_silu gradient', 'one step, and a row of b for each of a', a, b);
      const d = activationBackward(p, add(p, a, b), 'silu', dy);
      p.tape!.give(a, d);
      p.tape!.give(b, d);
    },
  });
  return y;
}
