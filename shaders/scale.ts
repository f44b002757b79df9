import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { elementwise } from './common.ts';
import scaleWgsl from './scale.wgsl';

/** factor × x, of x's shape and type. */
export function scale(p: Recorder, x: Tensor, factor: number): Tensor {
  const y = p.tensor('scale', x.type, x.shape),
    count = x.rows * (x.pitch / 4);
  const launch = elementwise(p, count);
  p.operation({
    name: 'scale',
    source: scaleWgsl,
    constants: { ...launch.constants, x: x.type },
    read: [x],
    write: [y],
    uniforms: [...launch.uniforms, f32Bits(factor)],
    workgroups: launch.workgroups,
    gradient: (dy) => p.tape!.give(x, scale(p, dy, factor)),
  });
  return y;
}
