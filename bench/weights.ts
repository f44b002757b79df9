import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { parseConfig } from '../model/config.ts';
import { mergeWeights } from '../model/merge_weights.ts';
import { MMAR } from '../model/mmar.ts';
import { checkPlan, planMemory } from '../model/plan.ts';
import { declaredCheckpoint, deviation } from '../model/random_weights.ts';
import { type PLoRA, ploraOf } from '../model/system.ts';
import { planSystem } from '../model/variants/index.ts';
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

export interface MadeOptions {
  /** How image tokens meet PLoRA, as of `loadMMAR`: merging takes a software adapter minutes. */
  plora?: PLoRA;
  /** Bytes that the device can hold, where that is known. */
  available?: number;
  signal?: AbortSignal;
}

/**
 * A model of that `config.json` with weights that are made on the device: no file, no download. The caller closes it. Throws
 * `adapter` where the device cannot hold it, `cancelled` where the signal was aborted; then nothing stays.
 */
export async function madeModel(
  device: Device,
  json: unknown,
  name: string,
  { plora, available = Infinity, signal }: MadeOptions = {},
): Promise<MMAR> {
  const checkpoint = declaredCheckpoint(json, name),
    config = parseConfig(json, name),
    system = planSystem(checkpoint, config, 'bf16', device.maxBinding),
    met = ploraOf(system, plora);
  if (available < Infinity) checkPlan(await planMemory(checkpoint, config, { device, plora: met }), name, available);
  await makeWeights(device, system.weights, signal);
  try {
    if (met === 'merged') await mergeWeights(device, system.weights, signal);
  } catch (error) {
    system.weights.release(device);
    throw error;
  }
  return new MMAR(device, checkpoint, system, {});
}

const firstSeed = 0x9e3779b1;

/** Gives weights memory and values on the device, of the magnitudes of trained ones; where that fails, nothing stays. */
async function makeWeights(device: Device, weights: Weights, signal?: AbortSignal): Promise<void> {
  device.gpu.pushErrorScope('out-of-memory');
  weights.allocate(device);
  const failure = await device.gpu.popErrorScope();
  try {
    if (failure) throw new MMARError('adapter', noMemory(weights.bytes));
    const program = await device.record('weights', (p) =>
      weights.tensors.forEach((tensor, i) => {
        const std = deviationOf(tensor);
        fill(p, tensor, firstSeed + 7919 * i, std, std ? 0 : 1);
      }),
    );
    try {
      await device.queue.run(program, signal);
      await device.queue.idle(signal);
    } finally {
      program.destroy();
    }
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
