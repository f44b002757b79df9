import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, grid } from './common.ts';
import normalNoiseWgsl from './normal_noise.wgsl';

/**
 * Fills y with normal noise of standard deviation `scale`.
 * @param seed u32 [2], read on the device
 * @param stream tells independent uses of one seed apart
 * @param y f32 [rows, cols]
 */
export function normalNoise(p: Recorder, seed: Tensor, stream: number, y: Tensor, scale = 1): void {
  checkShape(y.type === 'f32' && seed.type === 'u32', 'normal_noise', 'y f32, seed u32[2]', y, seed);
  p.operation({
    name: 'normal_noise',
    source: normalNoiseWgsl,
    constants: {},
    read: [seed],
    write: [y],
    uniforms: [y.rows, y.cols, y.pitch / 4, stream, f32Bits(scale)],
    workgroups: grid(p, y.rows * (y.pitch / 4), 32),
  });
}
