import { checkCancelled, MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { type ElementType, packRows, roundUp, Tensor } from '../engine/tensor.ts';
import { Uploads } from '../engine/upload.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { DTYPE_BYTES, type DType, toBf16, toF32 } from '../loaders/safetensors.ts';
import type { Conv } from '../shaders/conv2d.ts';
import type { Affine } from '../shaders/layer_norm.ts';
import type { Linear, LowRank } from '../shaders/linear.ts';
import { mergeable, mergeLowRank } from '../shaders/merge_low_rank.ts';
import {
  type Axis,
  type Block,
  count,
  type Elements,
  gather,
  type HeadLayout,
  inHeads,
  lowerBound,
  place,
  run,
  scatter,
} from './layout.ts';

/** Bytes of weights that are on the device, of all. */
export interface LoadProgress {
  loaded: number;
  total: number;
}

/** Element type of activations: bf16, or f32 where the model is run in f32. */
export type Activations = 'bf16' | 'f32';

const chunkBytes = 8 << 20; // of one read: bounds the host's memory
const readsAhead = 3;
const slots = 6; // chunks that are read or uploaded at once

/**
 * The weights of a model: first every part declares what it needs (`linear`, `conv`, …), which gives tensors without
 * memory and the whole plan; then `load` streams the files into them. Related matrices are stacked into one tensor on
 * the way, so that one kernel serves them and nothing is held twice.
 */
export class Weights {
  private plan: { tensor: Tensor; blocks: Block[] }[] = [];
  /** The plan without what merging does to it. */
  private readonly declared: { tensor: Tensor; blocks: Block[] }[] = [];
  /** The low-rank parts that were merged. */
  private readonly apart = new Map<Linear, LowRank>();
  /** Layers with a low-rank part. */
  private readonly lowRank: Linear[] = [];
  private readonly tables: { tensor: Tensor; values: ArrayLike<number> }[] = [];
  /** Every tensor asked for, with its shape. */
  readonly required = new Map<string, number[]>();

  /** @param type how weights are stored: bf16, or f32 where a model kept in f32 would lose by it */
  constructor(
    readonly type: ElementType,
    readonly activations: Activations,
    private readonly maxBinding: number,
  ) {}

  get bytes(): number {
    return this.plan.reduce((sum, { tensor }) => sum + tensor.bytes, 0);
  }

  /** Every tensor of the device, and which of the checkpoint's lie where in it. */
  get layout(): readonly { tensor: Tensor; blocks: readonly Block[] }[] {
    return this.plan;
  }

  /** Whether low-rank parts are merged into matrices of their own. */
  get merged(): boolean {
    return this.lowRank.some((layer) => layer.merged);
  }

  /** What merging would add to the weights, as a part of them. */
  get mergingAdds(): number {
    const added = this.lowRank.map(({ weight, lora }) => weight.bytes - (lora ? lora.a.bytes + lora.b.bytes : 0));
    return added.reduce((sum, bytes) => sum + bytes, 0) / this.bytes;
  }

  get tensors(): Tensor[] {
    return this.plan.map(({ tensor }) => tensor);
  }

  /** A vector or matrix as it lies in the file; of a shape like [1, L, W] the last dimension is the row. */
  tensor(name: string, shape: number[]): Tensor {
    const cols = shape[shape.length - 1],
      rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return this.add(name, [rows, cols], [{ name, shape, rows: run(rows), cols: run(cols) }]);
  }

  /** Matrices of `cols` columns one below the other; 0 rows: the file has it as a vector. */
  rows(parts: [name: string, rows: number][], cols: number): Tensor {
    let first = 0;
    const blocks = parts.map(([name, rows]): Block => {
      const at = first;
      first += rows || 1;
      return { name, shape: rows ? [rows, cols] : [cols], rows: run(rows || 1, at), cols: run(cols) };
    });
    return this.add(parts[0][0], [first, cols], blocks);
  }

  /** An f32 vector that is computed, not loaded; it comes and goes with the weights. */
  table(name: string, values: ArrayLike<number>): Tensor {
    const tensor = new Tensor(name, 'f32', [values.length], this.maxBinding);
    this.tables.push({ tensor, values });
    return tensor;
  }

  affine(prefix: string, width: number): Affine {
    return { weight: this.tensor(`${prefix}.weight`, [width]), bias: this.tensor(`${prefix}.bias`, [width]) };
  }

  /** `prefix.weight` [out, in] and `prefix.bias` [out]. `shape` where the file has more dimensions (a 1×1 convolution). */
  linear(
    prefix: string,
    inFeatures: number,
    outFeatures: number,
    options: { bias?: boolean; takeRows?: number; conv1x1?: boolean } = {},
  ): Linear {
    return this.stacked([{ prefix, outFeatures }], inFeatures, { bias: true, ...options });
  }

  /** A 3×3 convolution, [out, in, 3, 3] laid out as [out, 3 × 3 × in] with `in` in whole quads. */
  conv(prefix: string, in_channels: number, outChannels: number): Conv {
    const pitch = roundUp(in_channels, 4),
      name = `${prefix}.weight`;
    const block: Block = {
      name,
      shape: [outChannels, in_channels, 3, 3],
      rows: run(outChannels),
      cols: {
        first: 0,
        digits: [
          [in_channels, 1],
          [9, pitch],
        ],
      },
    };
    return {
      weight: this.add(name, [outChannels, 9 * pitch], [block]),
      bias: this.tensor(`${prefix}.bias`, [outChannels]),
    };
  }

  /**
   * Linear layers of one input as one: outputs side by side, each in whole quads; PLoRA's A and B stacked
   * likewise. `inHeads`: the input comes in padded heads; `heads` of a part: so does its output. `fused`: a part is
   * itself that many blocks one after another (a ViT's qkv).
   */
  stacked(
    parts: { prefix: string; outFeatures: number; heads?: HeadLayout }[],
    inFeatures: number,
    options: {
      bias?: boolean;
      takeRows?: number;
      conv1x1?: boolean;
      inHeads?: HeadLayout;
      lora?: { rank: number; alpha: number };
    } = {},
  ): Linear {
    const { inHeads: headsIn, lora, takeRows, conv1x1 } = options;
    const cols = inHeads(inFeatures, headsIn),
      inPadded = headsIn ? headsIn.heads * roundUp(headsIn.dim, 4) : inFeatures,
      rank = lora ? roundUp(lora.rank, 4) : 0;
    const weight: Block[] = [],
      bias: Block[] = [],
      a: Block[] = [],
      b: Block[] = [],
      firstColumns: number[] = [];
    let out = 0;
    parts.forEach(({ prefix, outFeatures, heads }, i) => {
      const rows = inHeads(takeRows ?? outFeatures, heads, out);
      firstColumns.push(out);
      const shape = conv1x1 ? [outFeatures, inFeatures, 1, 1] : [outFeatures, inFeatures];
      weight.push({ name: `${prefix}.weight`, shape, rows, cols });
      if (options.bias) bias.push({ name: `${prefix}.bias`, shape: [outFeatures], rows: run(1), cols: rows });
      if (lora) {
        const [nameA, nameB] = ['A', 'B'].map((side) => `${prefix}.lora_${side}.weight`);
        a.push({ name: nameA, shape: [lora.rank, inFeatures], rows: run(lora.rank, i * rank), cols });
        b.push({ name: nameB, shape: [outFeatures, lora.rank], rows, cols: run(lora.rank) });
      }
      out = place(rows, count(rows) - 1) + 1;
      if (i < parts.length - 1 || heads) out = roundUp(out, 4);
    });
    const name = parts.map((p) => p.prefix).join('+');
    const layer: Linear = {
      weight: this.add(name, [out, inPadded], weight),
      bias: options.bias ? this.add(`${name}.bias`, [out], bias) : undefined,
      lora: lora && {
        a: this.add(`${name}.lora_A`, [parts.length * rank, inPadded], a),
        b: this.add(`${name}.lora_B`, [out, rank], b),
        scale: lora.alpha / lora.rank,
        firstColumns,
      },
    };
    if (lora) this.lowRank.push(layer);
    return layer;
  }

  private add(name: string, shape: number[], blocks: Block[]): Tensor {
    const tensor = new Tensor(name, this.type, shape, this.maxBinding);
    this.plan.push({ tensor, blocks });
    this.declared.push({ tensor, blocks });
    for (const block of blocks) this.required.set(block.name, [...block.shape]);
    return tensor;
  }

  /** Tensors that the checkpoint lacks, has in another shape, and has without use. */
  compare(checkpoint: Checkpoint): { missing: string[]; wrong: string[]; unexpected: string[] } {
    const missing: string[] = [],
      wrong: string[] = [];
    for (const [name, shape] of this.required) {
      const found = checkpoint.tensors.get(name)?.entry;
      if (!found) missing.push(name);
      else if (found.shape.join() !== shape.join())
        wrong.push(`${name} is [${found.shape.join(', ')}], want [${shape.join(', ')}]`);
      else if (!['BF16', 'F16', 'F32'].includes(found.dtype))
        wrong.push(`${name} is ${found.dtype}, want BF16, F16 or F32`);
    }
    return { missing, wrong, unexpected: [...checkpoint.tensors.keys()].filter((name) => !this.required.has(name)) };
  }

  /** Throws `checkpoint` where a tensor is missing or wrong. */
  check(checkpoint: Checkpoint): void {
    const { missing, wrong } = this.compare(checkpoint),
      faults = [...missing.map((name) => `tensor ${name} is missing`), ...wrong];
    if (!faults.length) return;
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more faults)` : '';
    throw new MMARError(
      'checkpoint',
      `${checkpoint.source.name}: ${faults[0]}${more}; check config.json, or run mmar inspect`,
    );
  }

  /** Gives every tensor its memory, and tables their values. */
  allocate(device: Device): void {
    for (const { tensor } of [...this.plan, ...this.tables]) allocate(device, tensor);
    for (const { tensor, values } of this.tables) device.write(tensor, packRows('f32', tensor.cols, values));
  }

  /**
   * Streams every tensor to the device: the next chunks are read while one is uploaded, and the host holds a few at a
   * time, whatever the model's size.
   *
   * Throws `checkpoint` where a tensor is missing or wrong, `adapter` where the device has no memory for all; who catches
   * it calls `release`.
   */
  async load(
    device: Device,
    checkpoint: Checkpoint,
    onProgress?: (progress: LoadProgress) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    this.check(checkpoint);
    device.gpu.pushErrorScope('out-of-memory');
    this.allocate(device);
    const failure = await device.gpu.popErrorScope();
    if (failure)
      throw new MMARError(
        'adapter',
        `${checkpoint.source.name}: ${noMemory(this.bytes, this.type)} (${failure.message.split('\n')[0]})`,
      );
    device.check();
    await this.stream(device, checkpoint, this.plan, onProgress, signal);
  }

  /** Loads those tensors of the device anew in which tensors of these names lie. */
  async reload(
    device: Device,
    checkpoint: Checkpoint,
    names: ReadonlySet<string>,
    signal?: AbortSignal,
  ): Promise<void> {
    const touched = this.plan.filter(({ blocks }) => blocks.some(({ name }) => names.has(name)));
    await this.stream(device, checkpoint, touched, undefined, signal);
  }

  private async stream(
    device: Device,
    checkpoint: Checkpoint,
    plan: readonly { tensor: Tensor; blocks: Block[] }[],
    onProgress?: (progress: LoadProgress) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const chunks = plan.flatMap(({ tensor, blocks }) =>
      rowChunks(tensor).map(([from, to]): Chunk => ({ tensor, blocks, from, to })),
    );
    const fileOf = ({ blocks }: Chunk) => checkpoint.place(blocks[0].name);
    // In the order of the files: what reads ahead or caches can do so.
    chunks.sort(
      (x, y) =>
        compareText(fileOf(x).file, fileOf(y).file) ||
        fileOf(x).entry.offset - fileOf(y).entry.offset ||
        x.from - y.from,
    );

    const total = plan.reduce((sum, { tensor }) => sum + tensor.bytes, 0),
      uploads = new Uploads(device, slots, chunkBytes),
      reading: ReturnType<typeof read>[] = [];
    const read = async (chunk: Chunk) => {
      const slot = await uploads.take(size(chunk));
      device.check();
      await assemble(checkpoint, chunk, slot.bytes.subarray(0, size(chunk)), signal);
      return slot;
    };
    let loaded = 0,
      ahead = 0;
    try {
      for (const chunk of chunks) {
        for (; ahead < chunks.length && reading.length < readsAhead; ahead++) {
          reading.push(read(chunks[ahead]));
          reading.at(-1)!.catch(() => {}); // it is thrown where it is awaited
        }
        const slot = await reading.shift()!;
        checkCancelled(signal);
        uploads.send(slot, chunk.tensor, chunk.from, chunk.to - chunk.from);
        loaded += size(chunk);
        onProgress?.({ loaded, total });
      }
      await device.queue.idle(signal);
    } finally {
      await Promise.allSettled(reading); // they write into memory that goes now
      uploads.destroy();
    }
  }

  /**
   * Merges each low-rank part into a copy of its layer's matrix, for image tokens; A and B then go, a layer at a time, so that
   * no more than one layer is held both ways. Throws `adapter` where the device has no memory for it.
   */
  async merge(device: Device, signal?: AbortSignal): Promise<void> {
    for (const layer of this.lowRank) {
      const { weight, lora } = layer;
      if (!lora || !mergeable(layer)) continue;
      const merged = new Tensor(`${weight.name} merged`, weight.type, weight.shape, this.maxBinding);
      this.plan.push({ tensor: merged, blocks: [] }); // who catches an error releases it with the others
      device.gpu.pushErrorScope('out-of-memory');
      allocate(device, merged);
      const failure = await device.gpu.popErrorScope();
      if (failure) throw new MMARError('adapter', `the adapter has no memory for ${merged}; choose --plora separate`);
      device.copy(weight, merged);
      const program = await device.record(merged.name, (p) => mergeLowRank(p, layer, merged));
      await device.queue.run(program, signal);
      await device.queue.idle(signal);
      program.destroy();
      this.apart.set(layer, lora);
      layer.merged = merged;
      layer.lora = undefined;
      for (const gone of [lora.a, lora.b]) device.release(gone);
      this.plan = this.plan.filter(({ tensor }) => tensor !== lora.a && tensor !== lora.b);
    }
  }

  /** Takes `merge` back: A and B come from the checkpoint again, and all tensors lie as they were declared. */
  async separate(device: Device, checkpoint: Checkpoint, signal?: AbortSignal): Promise<void> {
    const parts = [...this.apart.values()].flatMap(({ a, b }) => [a, b]);
    for (const part of parts) allocate(device, part);
    try {
      const loaded = this.declared.filter(({ tensor }) => parts.includes(tensor));
      await this.stream(device, checkpoint, loaded, undefined, signal);
    } catch (error) {
      for (const part of parts) device.release(part);
      throw error;
    }
    for (const [layer, lora] of this.apart) {
      if (layer.merged) device.release(layer.merged);
      layer.merged = undefined;
      layer.lora = lora;
    }
    this.apart.clear();
    this.plan = [...this.declared];
  }

  /**
   * A tensor of the checkpoint as it is on the device now, in the file's order: bf16 bits, or f32. Throws `usage` where the
   * device does not have all of it.
   */
  async save(device: Device, name: string): Promise<Elements> {
    const planned = this.plan.find(({ blocks }) => blocks.some((block) => block.name === name)),
      block = planned?.blocks.find((b) => b.name === name);
    const elements = block?.shape.reduce((n, size) => n * size, 1);
    if (!planned || !block || count(block.rows) * count(block.cols) !== elements)
      throw new MMARError('usage', `${name} is not on the device whole, so it cannot be saved; copy it from its file`);
    const { tensor } = planned,
      bytes = await device.readRows(tensor);
    return gather(block, tensor, tensor.type === 'bf16' ? new Uint16Array(bytes) : new Float32Array(bytes));
  }

  /** Gives the device memory back. */
  release(device: Device): void {
    for (const { tensor } of [...this.plan, ...this.tables]) device.release(tensor);
  }
}

function allocate(device: Device, tensor: Tensor): void {
  for (const piece of tensor.pieces)
    piece.buffer ??= device.memory.create(Math.max(1, piece.rows) * tensor.rowBytes, tensor.name);
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Rows of a device tensor that are read and uploaded at once. */
interface Chunk {
  tensor: Tensor;
  blocks: Block[];
  from: number;
  to: number;
}

const size = ({ tensor, from, to }: Chunk): number => (to - from) * tensor.rowBytes;

const noMemory = (bytes: number, type: ElementType): string =>
  `the adapter has no memory for ${(bytes / 1e9).toFixed(2)} GB of weights; choose ${type === 'f32' ? '--precision bf16, ' : ''}a smaller model, fewer layers (--set llm.num_hidden_layers=N) or another adapter`;

/** The rows of a chunk, from all the blocks that lie in them, into `out`. */
async function assemble(
  checkpoint: Checkpoint,
  { tensor, blocks, from, to }: Chunk,
  out: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<void> {
  const bf16 = tensor.type === 'bf16',
    elements = (to - from) * tensor.pitch;
  // Padding, of rows as well as of heads, must be zero; the memory has served before.
  if (blocks.length > 1 || !fills(blocks[0], tensor)) out.fill(0);
  const target = new (bf16 ? Uint16Array : Float32Array)(out.buffer, out.byteOffset, elements);
  for (const block of blocks) {
    const first = lowerBound(block.rows, from),
      end = lowerBound(block.rows, to),
      cols = count(block.cols);
    if (first >= end) continue;
    const { dtype } = checkpoint.place(block.name).entry,
      rowBytes = cols * DTYPE_BYTES[dtype],
      asItIs = dtype === (bf16 ? 'BF16' : 'F32');
    if (asItIs && cols === tensor.pitch && inOrder(block.cols) && inOrder(block.rows)) {
      const start = (place(block.rows, first) - from) * tensor.rowBytes; // whole rows in their order: into their place
      const rows = out.subarray(start, start + (end - first) * rowBytes);
      await checkpoint.read(block.name, first * rowBytes, rows, signal);
      continue;
    }
    const bytes = new Uint8Array((end - first) * rowBytes);
    await checkpoint.read(block.name, first * rowBytes, bytes, signal);
    scatter(block, first, end, elementsOf(tensor.type, block.name, dtype, bytes), tensor, target, from);
  }
}

/** Whether a block leaves no element of the tensor to padding. */
const fills = ({ rows, cols }: Block, tensor: Tensor): boolean =>
  count(cols) === tensor.pitch && count(rows) === tensor.rows;

/** Whether indices lie one after another. */
const inOrder = ({ digits }: Axis): boolean => digits.length === 1 && digits[0][1] === 1;

/** A file's values as the device has them. */
function elementsOf(type: ElementType, name: string, dtype: DType, bytes: Uint8Array<ArrayBuffer>): Elements {
  if (type !== 'bf16') return dtype === 'F32' ? new Float32Array(bytes.buffer) : toF32({ name, dtype }, bytes);
  if (dtype === 'BF16') return new Uint16Array(bytes.buffer);
  const values = new Uint16Array(bytes.length / DTYPE_BYTES[dtype]);
  toBf16(dtype, bytes, values);
  return values;
}

/** Runs of whole rows of about `chunkBytes`. */
function rowChunks(tensor: Tensor): [number, number][] {
  const step = Math.max(1, Math.floor(chunkBytes / tensor.rowBytes)),
    chunks: [number, number][] = [];
  for (let row = 0; row < tensor.rows; row += step) chunks.push([row, Math.min(row + step, tensor.rows)]);
  return chunks;
}
