import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, reducing } from './common.ts';
import sumWgsl from './sum.wgsl';

/**
 * The sum of a vector, or its square root.
 * @param x f32 [n], its padding zeros
 * @returns f32 [1]
 */
export function sum(p: Recorder, x: Tensor, f: '' | 'sqrt' = ''): Tensor {
  checkShape(x.type === 'f32', 'sum', 'f32', x);
  const y = p.tensor('sum', 'f32', [1]);
  p.operation({
    name: 'sum',
    source: sumWgsl,
    constants: { ...reducing(p), f },
    read: [x],
    write: [y],
    uniforms: [x.rows * (x.pitch / 4)],
    workgroups: [1],
  });
  return y;
}
