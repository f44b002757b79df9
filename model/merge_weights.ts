import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { Tensor } from '../engine/tensor.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import type { Linear } from '../shaders/linear.ts';
import { mergeable, mergeLowRank } from '../shaders/merge_low_rank.ts';
import { streamTensors } from './load_weights.ts';
import { allocate, type Weights } from './weights.ts';

/**
 * Merges each low-rank part into a copy of its layer's matrix, for image tokens; A and B then go, a layer at a time, so that
 * no more than one layer is held both ways. Throws `adapter` where the device has no memory for it.
 */
export async function mergeWeights(device: Device, weights: Weights, signal?: AbortSignal): Promise<void> {
  for (const { layer, lora } of weights.lowRank) {
    if (layer.merged || !mergeable(layer)) continue;
    layer.merged = await mergedMatrix(device, layer, weights.maxBinding, signal);
    layer.lora = undefined;
    for (const gone of [lora.a, lora.b]) device.release(gone);
  }
}

async function mergedMatrix(device: Device, layer: Linear, maxBinding: number, signal?: AbortSignal): Promise<Tensor> {
  const { weight } = layer,
    merged = new Tensor(`${weight.name} merged`, weight.type, weight.shape, maxBinding);
  try {
    device.gpu.pushErrorScope('out-of-memory');
    allocate(device, merged);
    const failure = await device.gpu.popErrorScope();
    if (failure) throw new MMARError('adapter', `the adapter has no memory for ${merged}; choose --plora separate`);
    device.copy(weight, merged);
    const program = await device.record(merged.name, (p) => mergeLowRank(p, layer, merged));
    await device.queue.run(program, signal);
    await device.queue.idle(signal);
    program.destroy();
    return merged;
  } catch (error) {
    device.release(merged);
    throw error;
  }
}

/** Takes `mergeWeights` back: A and B come from the checkpoint again, and all tensors lie as they were declared. */
export async function separateWeights(
  device: Device,
  weights: Weights,
  checkpoint: Checkpoint,
  signal?: AbortSignal,
): Promise<void> {
  const merged = weights.lowRank.filter(({ layer }) => layer.merged),
    parts = weights.declared.filter(({ tensor }) => merged.some(({ lora }) => tensor === lora.a || tensor === lora.b));
  for (const { tensor } of parts) allocate(device, tensor);
  try {
    await streamTensors(device, checkpoint, parts, undefined, signal);
  } catch (error) {
    for (const { tensor } of parts) device.release(tensor);
    throw error;
  }
  for (const { layer, lora } of merged) {
    device.release(layer.merged!);
    layer.merged = undefined;
    layer.lora = lora;
  }
}
