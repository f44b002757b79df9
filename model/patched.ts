import { MMARError } from '../base/error.ts';
import type { Platform } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import type { Checkpoint, TensorPlace } from '../loaders/checkpoint.ts';
import { compose } from '../loaders/compose.ts';
import { memorySource } from '../loaders/memory_source.ts';
import { readHeader, safetensorsBytes, type TensorData } from '../loaders/safetensors.ts';
import type { PatchInput } from './api.ts';
import { reloadWeights } from './load_weights.ts';
import { mergeWeights, separateWeights } from './merge_weights.ts';
import { fileAt, type PlacedFile } from './place.ts';
import type { Weights } from './weights.ts';

/** A loaded checkpoint and what is laid over it, in the weights on the device. */
export class Patched {
  /** The checkpoint with its patches, whose tensors the device has. */
  private now: Checkpoint;
  private metadata: Record<string, string> = {};
  /** Tensors that training changes on the device, until what it learned is laid over. */
  private readonly loose = new Set<string>();

  /** @param alone runs what exchanges tensors while nothing else uses them */
  constructor(
    private readonly device: Device,
    private readonly checkpoint: Checkpoint,
    private readonly weights: Weights,
    private readonly alone: (work: () => Promise<void>) => Promise<void>,
  ) {
    this.now = checkpoint;
  }

  /** These tensors do not hold what was laid over, until something is again. */
  loosen(names: Iterable<string>): void {
    for (const name of names) this.loose.add(name);
  }

  /** Lays a patch over the checkpoint, or over what is laid over it already. Where that fails, all is as before. */
  async lay(patch: PlacedFile, over: 'checkpoint' | 'patches', signal?: AbortSignal): Promise<void> {
    const under = over === 'checkpoint' ? this.checkpoint : this.now;
    const next = await compose(under, { patch }, signal);
    const { metadata } = await readHeader(patch.source, patch.file, signal);
    this.weights.check(next);
    await this.move(next, signal);
    this.metadata = metadata;
  }

  /** Returns to the checkpoint. */
  async forget(): Promise<void> {
    await this.move(this.checkpoint);
    this.metadata = {};
  }

  /** What is laid over the checkpoint, in one file; undefined where there is nothing. */
  async save(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const tensors: TensorData[] = [];
    for (const [name, { source, file, entry }] of this.differences(this.checkpoint)) {
      const data = new Uint8Array(entry.bytes);
      await source.read(file, entry.offset, data);
      tensors.push({ name, dtype: entry.dtype, shape: entry.shape, data });
    }
    return tensors.length ? safetensorsBytes(tensors, this.metadata) : undefined;
  }

  /** Tensors that are elsewhere now than in `other`. */
  private differences(other: Checkpoint): [string, TensorPlace][] {
    return [...this.now.tensors].filter(([name, place]) => other.tensors.get(name) !== place);
  }

  private async move(next: Checkpoint, signal?: AbortSignal): Promise<void> {
    const names = new Set([...this.loose, ...this.differences(next).map(([name]) => name)]);
    if (names.size) await this.alone(() => this.exchange(next, names, signal));
    this.loose.clear();
    this.now = next;
  }

  private async exchange(next: Checkpoint, names: ReadonlySet<string>, signal?: AbortSignal): Promise<void> {
    const { device, weights } = this;
    const { merged } = weights;
    try {
      if (merged) await separateWeights(device, weights, this.now, signal);
      await reloadWeights(device, weights, next, names, signal);
    } catch (error) {
      await reloadWeights(device, weights, this.now, names).catch(() => this.loosen(names)); // why it failed first is told
      throw error;
    } finally {
      if (merged) await mergeWeights(device, weights);
      await next.source.close(); // it opens again where it is read again
    }
  }

  /** Takes PLoRA's A and B apart from the matrices that they are merged into, since they learn; says whether they were. */
  async separate(): Promise<boolean> {
    const { merged } = this.weights;
    if (merged) await this.alone(() => separateWeights(this.device, this.weights, this.now));
    return merged;
  }

  async merge(): Promise<void> {
    await this.alone(() => mergeWeights(this.device, this.weights));
  }
}

/** The file of a patch. Throws `usage` where it has no place that can be opened. */
export function openPatch(patch: PatchInput, platform: Platform | undefined): PlacedFile {
  if (typeof patch !== 'string' && !(patch instanceof URL)) {
    const file = patch instanceof Blob && 'name' in patch ? String(patch.name) : 'the patch';
    const content = patch instanceof Blob ? patch : new Uint8Array(patch as ArrayBuffer);
    return { source: memorySource('what was given', new Map([[file, content]])), file };
  }
  if (!platform)
    throw new MMARError('usage', 'this model was loaded without a platform, which opens files; give bytes');
  const placed = fileAt(String(patch), platform.source);
  if (placed) return placed;
  throw new MMARError('usage', `${JSON.stringify(patch)} is no place of a patch; give a path or a URL`);
}
