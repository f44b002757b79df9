import type { Recorder } from '../engine/program.ts';
import { type Tensor, f32_bits } from '../engine/tensor.ts';
import { check_shape, grid } from './common.ts';
import normal_noise_wgsl from './normal_noise.wgsl';

/**
 * Fills y with normal noise of standard deviation `scale`.
 * @param seed u32 [2], read on the device
 * @param stream tells independent uses of one seed apart
 * @param y f32 [rows, cols]
 */
export function normal_noise(p: Recorder, seed: Tensor, stream: number, y: Tensor, scale = 1): void {
  check_shape(y.type === 'f32' && seed.type === 'u32', 'normal_noise', 'y f32, seed u32[2]', y, seed);
  p.dispatch({
    name: 'normal_noise', source: normal_noise_wgsl, constants: {}, read: [seed], write: [y],
    uniforms: [y.rows, y.cols, y.pitch / 4, stream, f32_bits(scale)], workgroups: grid(p, y.rows * (y.pitch / 4), 32),
  });
}
