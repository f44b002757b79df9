import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { deviation } from '../model/random_weights.ts';
import type { Weights } from '../model/weights.ts';
import { grid } from '../shaders/common.ts';
import fillWgsl from './probes/fill.wgsl';

/** Fills a tensor, bf16 or f32, with numbers of that standard deviation around `middle`, made on the device. */
export function fill(p: Recorder, y: Tensor, seed: number, deviation: number, middle = 0): void {
  for (const [i, { part }] of y.parts().entries()) {
    const rowQuads = part.pitch / 4;
    p.operation({
      name: 'fill',
      source: fillWgsl,
      constants: { y: part.type },
      read: [],
      write: [part],
      uniforms: [part.rows, part.cols, rowQuads, seed + 977 * i, f32Bits(deviation), f32Bits(middle)],
      workgroups: grid(p, part.rows * rowQuads, 64),
    });
  }
}

/**
 * Gives a model's weights memory and values on the device: no file, no download, the magnitudes of trained weights. Throws
 * `adapter` where the device has no memory for them; then nothing stays.
 */
export async function makeWeights(device: Device, weights: Weights, seed = 1): Promise<void> {
  device.gpu.pushErrorScope('out-of-memory');
  weights.allocate(device);
  const failure = await device.gpu.popErrorScope();
  try {
    if (failure) throw new MMARError('adapter', noMemory(weights.bytes));
    const program = await device.record('weights', (p) =>
      weights.tensors.forEach((tensor, i) => {
        const std = deviationOf(tensor);
        fill(p, tensor, Math.imul(seed, 0x9e3779b1) + 7919 * i, std, std ? 0 : 1);
      }),
    );
    await device.queue.run(program);
    await device.queue.idle();
    program.destroy();
  } catch (error) {
    weights.release(device);
    throw error;
  }
}

const noMemory = (bytes: number): string =>
  `the adapter has no memory for ${(bytes / 1e9).toFixed(2)} GB of weights; choose a smaller model (--config emoji) or another adapter`;

/** As of the checkpoint's tensor of that name: a device tensor has vectors as matrices of one row. */
export const deviationOf = ({ name, rows, cols }: Tensor): number =>
  deviation(name, rows === 1 ? [cols] : [rows, cols]);
