import type { Device } from '../engine/device.ts';
import { Uploads } from '../engine/upload.ts';
import { type ElementType, Tensor, round_up } from '../engine/tensor.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { DTYPE_BYTES, to_bf16, to_f32 } from '../loaders/safetensors.ts';
import { MMARError, check_cancelled } from '../platform/error.ts';
import type { Conv } from '../shaders/conv2d.ts';
import type { Affine } from '../shaders/layer_norm.ts';
import type { Linear } from '../shaders/matmul.ts';

/** Bytes of weights that are on the device, of all. */
export interface LoadProgress {
  loaded: number;
  total: number;
}

/** Element type of activations: bf16, or f32 where the model is run in f32. */
export type Activations = 'bf16' | 'f32';

/** A checkpoint's tensor, or its first rows, as a block of a device tensor. */
interface Block {
  name: string;
  /** As the checkpoint must have it. */
  shape: number[];
  /** Rows that are taken: the first ones. */
  rows: number;
  cols: number;
  /** Row of the device tensor for each row; rises with r. */
  to_row: (r: number) => number;
  /** Column of the device tensor for each column: a run from there on, or a list. */
  to_col: number | Int32Array;
}

/** Heads whose width is padded to whole quads: `heads` blocks of `dim` rows or columns. */
interface HeadLayout {
  heads: number;
  dim: number;
}

const chunk_bytes = 8 << 20; // of one read: bounds the host's memory
const reads_ahead = 3;
const slots = 6; // chunks that are read or uploaded at once

/**
 * The weights of a model: first every part declares what it needs (`linear`, `conv`, …), which gives tensors without
 * memory and the whole plan; then `load` streams the files into them. Related matrices are stacked into one tensor on
 * the way, so that one kernel serves them and nothing is held twice.
 */
export class Weights {
  private readonly plan: { tensor: Tensor; blocks: Block[] }[] = [];
  /** Every tensor asked for, with its shape. */
  readonly required = new Map<string, number[]>();

  /** @param type how weights are stored: bf16, or f32 where a model kept in f32 would lose by it */
  constructor(readonly type: ElementType, readonly activations: Activations, private readonly max_binding: number) {}

  get bytes(): number {
    return this.plan.reduce((sum, { tensor }) => sum + tensor.bytes, 0);
  }

  get tensors(): Tensor[] {
    return this.plan.map(({ tensor }) => tensor);
  }

  /** A vector or matrix as it lies in the file; of a shape like [1, L, W] the last dimension is the row. */
  tensor(name: string, shape: number[]): Tensor {
    const cols = shape[shape.length - 1], rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return this.add(name, [rows, cols], [{ name, shape, rows, cols, to_row: (r) => r, to_col: 0 }]);
  }

  /** Matrices of `cols` columns one below the other; 0 rows: the file has it as a vector. */
  rows(parts: [name: string, rows: number][], cols: number): Tensor {
    let first = 0;
    const blocks = parts.map(([name, rows]): Block => {
      const at = first;
      first += rows || 1;
      return { name, shape: rows ? [rows, cols] : [cols], rows: rows || 1, cols, to_row: (r) => at + r, to_col: 0 };
    });
    return this.add(parts[0][0], [first, cols], blocks);
  }

  affine(prefix: string, width: number): Affine {
    return { weight: this.tensor(`${prefix}.weight`, [width]), bias: this.tensor(`${prefix}.bias`, [width]) };
  }

  /** `prefix.weight` [out, in] and `prefix.bias` [out]. `shape` where the file has more dimensions (a 1×1 convolution). */
  linear(prefix: string, in_features: number, out_features: number, options: { bias?: boolean; take_rows?: number; conv1x1?: boolean } = {}): Linear {
    return this.stacked([{ prefix, out_features }], in_features, { bias: true, ...options });
  }

  /** A 3×3 convolution, [out, in, 3, 3] laid out as [out, 3 × 3 × in] with `in` in whole quads. */
  conv(prefix: string, in_channels: number, out_channels: number): Conv {
    const pitch = round_up(in_channels, 4), to_col = new Int32Array(9 * in_channels);
    for (let c = 0; c < in_channels; c++) for (let tap = 0; tap < 9; tap++) to_col[c * 9 + tap] = tap * pitch + c;
    const name = `${prefix}.weight`;
    const block = { name, shape: [out_channels, in_channels, 3, 3], rows: out_channels, cols: 9 * in_channels, to_row: (r: number) => r, to_col };
    return { weight: this.add(name, [out_channels, 9 * pitch], [block]), bias: this.tensor(`${prefix}.bias`, [out_channels]) };
  }

  /**
   * Linear layers of one input as one: outputs side by side, each in whole quads; PLoRA's A stacked likewise, its B
   * beside W. `in_heads`: the input comes in padded heads; `heads` of a part: so does its output. `fused`: a part is
   * itself that many blocks one after another (a ViT's qkv).
   */
  stacked(
    parts: { prefix: string; out_features: number; heads?: HeadLayout }[], in_features: number,
    options: { bias?: boolean; take_rows?: number; conv1x1?: boolean; in_heads?: HeadLayout; lora?: { rank: number; alpha: number } } = {},
  ): Linear {
    const { in_heads, lora, take_rows, conv1x1 } = options;
    const to_in = padded_columns(in_features, in_heads), in_padded = in_heads ? in_heads.heads * round_up(in_heads.dim, 4) : in_features;
    const rank = lora ? round_up(lora.rank, 4) : 0, in_pitch = round_up(in_padded, 4);
    const weight: Block[] = [], bias: Block[] = [], a: Block[] = [], first_columns: number[] = [];
    let out = 0;
    parts.forEach(({ prefix, out_features, heads }, i) => {
      const rows = take_rows ?? out_features, first = out, to_row = padded_rows(first, heads);
      first_columns.push(first);
      weight.push({ name: `${prefix}.weight`, shape: conv1x1 ? [out_features, in_features, 1, 1] : [out_features, in_features], rows, cols: in_features, to_row, to_col: to_in });
      if (options.bias) bias.push({ name: `${prefix}.bias`, shape: [out_features], rows, cols: 1, to_row, to_col: 0 });
      if (lora) {
        a.push({ name: `${prefix}.lora_A.weight`, shape: [lora.rank, in_features], rows: lora.rank, cols: in_features, to_row: (r) => i * rank + r, to_col: to_in });
        weight.push({ name: `${prefix}.lora_B.weight`, shape: [out_features, lora.rank], rows, cols: lora.rank, to_row, to_col: in_pitch });
      }
      out = to_row(rows - 1) + 1;
      if (i < parts.length - 1 || heads) out = round_up(out, 4);
    });
    const name = parts.map((p) => p.prefix).join('+');
    return {
      weight: this.add(name, [out, lora ? in_pitch + rank : in_padded], weight),
      bias: options.bias ? this.add(`${name}.bias`, [out], bias, true) : undefined,
      in_features: in_padded,
      lora: lora && { a: this.add(`${name}.lora_A`, [parts.length * rank, in_padded], a), rank, scale: lora.alpha / lora.rank, first_columns },
    };
  }

  private add(name: string, shape: number[], blocks: Block[], vector = false): Tensor {
    const tensor = new Tensor(name, this.type, shape, this.max_binding);
    // A stacked vector is filled column by column: its blocks are columns of a matrix with one row each.
    this.plan.push({ tensor, blocks: vector ? blocks.map(as_row) : blocks });
    for (const block of blocks) this.required.set(block.name, block.shape);
    return tensor;
  }

  /** Tensors that the checkpoint lacks, has in another shape, and has without use. */
  compare(checkpoint: Checkpoint): { missing: string[]; wrong: string[]; unexpected: string[] } {
    const missing: string[] = [], wrong: string[] = [];
    for (const [name, shape] of this.required) {
      const found = checkpoint.tensors.get(name)?.entry;
      if (!found) missing.push(name);
      else if (found.shape.join() !== shape.join()) wrong.push(`${name} is [${found.shape.join(', ')}], want [${shape.join(', ')}]`);
      else if (!['BF16', 'F16', 'F32'].includes(found.dtype)) wrong.push(`${name} is ${found.dtype}, want BF16, F16 or F32`);
    }
    return { missing, wrong, unexpected: [...checkpoint.tensors.keys()].filter((name) => !this.required.has(name)) };
  }

  /** Gives every tensor its memory. */
  allocate(device: Device): void {
    for (const { tensor } of this.plan) for (const piece of tensor.pieces) piece.buffer ??= device.memory.create(Math.max(1, piece.rows) * tensor.row_bytes, tensor.name);
  }

  /**
   * Streams every tensor to the device: the next chunks are read while one is uploaded, and the host holds a few at a
   * time, whatever the model's size.
   *
   * Throws `checkpoint` where a tensor is missing or wrong, `adapter` where the device has no memory for all; who catches
   * it calls `release`.
   */
  async load(device: Device, checkpoint: Checkpoint, onProgress?: (progress: LoadProgress) => void, signal?: AbortSignal): Promise<void> {
    const { missing, wrong } = this.compare(checkpoint);
    const more = (list: string[]) => (list.length > 1 ? ` (and ${list.length - 1} more)` : '');
    if (missing.length) throw new MMARError('checkpoint', `${checkpoint.source.name}: tensor ${missing[0]} is missing${more(missing)}; check config.json, or run mmar inspect`);
    if (wrong.length) throw new MMARError('checkpoint', `${checkpoint.source.name}: ${wrong[0]}${more(wrong)}; check config.json, or run mmar inspect`);

    device.gpu.pushErrorScope('out-of-memory');
    this.allocate(device);
    const failure = await device.gpu.popErrorScope();
    if (failure) throw new MMARError('adapter', `${checkpoint.source.name}: ${no_memory(this.bytes, this.type)} (${failure.message.split('\n')[0]})`);
    device.check();

    const chunks = this.plan.flatMap(({ tensor, blocks }) => row_chunks(tensor).map(([from, to]): Chunk => ({ tensor, blocks, from, to })));
    const place = ({ blocks }: Chunk) => checkpoint.place(blocks[0].name);
    // In the order of the files: what reads ahead or caches can do so.
    chunks.sort((x, y) => compare_text(place(x).file, place(y).file) || place(x).entry.offset - place(y).entry.offset || x.from - y.from);

    const total = this.bytes, uploads = new Uploads(device, slots, chunk_bytes), reading: ReturnType<typeof read>[] = [];
    const read = async (chunk: Chunk) => {
      const slot = await uploads.take(size(chunk));
      device.check();
      await assemble(checkpoint, chunk, slot.bytes.subarray(0, size(chunk)), signal);
      return slot;
    };
    let loaded = 0, ahead = 0;
    try {
      for (const chunk of chunks) {
        for (; ahead < chunks.length && reading.length < reads_ahead; ahead++) {
          reading.push(read(chunks[ahead]));
          reading.at(-1)!.catch(() => {}); // it is thrown where it is awaited
        }
        const slot = await reading.shift()!;
        check_cancelled(signal);
        uploads.send(slot, chunk.tensor, chunk.from, chunk.to - chunk.from);
        loaded += size(chunk);
        onProgress?.({ loaded, total });
      }
      await device.idle(signal);
    } finally {
      await Promise.allSettled(reading); // they write into memory that goes now
      uploads.destroy();
    }
  }

  /** Gives the device memory back. */
  release(device: Device): void {
    for (const { tensor } of this.plan) device.release(tensor);
  }
}

const compare_text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Rows of a device tensor that are read and uploaded at once. */
interface Chunk {
  tensor: Tensor;
  blocks: Block[];
  from: number;
  to: number;
}

const size = ({ tensor, from, to }: Chunk): number => (to - from) * tensor.row_bytes;

const no_memory = (bytes: number, type: ElementType): string =>
  `the adapter has no memory for ${(bytes / 1e9).toFixed(2)} GB of weights; choose ${type === 'f32' ? '--precision bf16, ' : ''}a smaller model, fewer layers (--set llm.num_hidden_layers=N) or another adapter`;

/** The rows of a chunk, from all the blocks that lie in them, into `out`. */
async function assemble(checkpoint: Checkpoint, { tensor, blocks, from, to }: Chunk, out: Uint8Array, signal?: AbortSignal): Promise<void> {
  const bf16 = tensor.type === 'bf16', count = (to - from) * tensor.pitch;
  // Padding, of rows as well as of heads, must be zero; the memory has served before.
  if (blocks.length > 1 || blocks[0].cols !== tensor.pitch || blocks[0].rows !== tensor.rows) out.fill(0);
  const target = bf16 ? new Uint16Array(out.buffer, out.byteOffset, count) : new Float32Array(out.buffer, out.byteOffset, count);
  for (const block of blocks) {
    const first = lower_bound(block, from), end = lower_bound(block, to);
    if (first >= end) continue;
    const { dtype } = checkpoint.place(block.name).entry, row_bytes = block.cols * DTYPE_BYTES[dtype], as_it_is = dtype === (bf16 ? 'BF16' : 'F32');
    const at = (r: number): number => (block.to_row(r) - from) * tensor.pitch;
    if (as_it_is && block.cols === tensor.pitch && block.to_col === 0 && at(end - 1) - at(first) === (end - 1 - first) * tensor.pitch) {
      const start = at(first) * target.BYTES_PER_ELEMENT; // whole rows in their order: into their place
      await checkpoint.read(block.name, first * row_bytes, out.subarray(start, start + (end - first) * row_bytes), signal);
      continue;
    }
    const bytes = new Uint8Array((end - first) * row_bytes);
    await checkpoint.read(block.name, first * row_bytes, bytes, signal);
    let values: Uint16Array | Float32Array;
    if (!bf16) values = as_it_is ? new Float32Array(bytes.buffer) : to_f32({ name: block.name, dtype }, bytes);
    else if (as_it_is) values = new Uint16Array(bytes.buffer);
    else to_bf16(dtype, bytes, (values = new Uint16Array((end - first) * block.cols)));
    const { to_col, cols } = block;
    for (let r = first, i = 0; r < end; r++, i += cols) {
      const row = at(r);
      if (typeof to_col === 'number') target.set(values.subarray(i, i + cols), row + to_col);
      else for (let c = 0; c < cols; c++) target[row + to_col[c]] = values[i + c];
    }
  }
}

/** The first row of a block that lies at or behind row `row` of the device tensor. */
function lower_bound({ rows, to_row }: Block, row: number): number {
  let low = 0, high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (to_row(middle) < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Runs of whole rows of about `chunk_bytes`. */
function row_chunks(tensor: Tensor): [number, number][] {
  const step = Math.max(1, Math.floor(chunk_bytes / tensor.row_bytes)), chunks: [number, number][] = [];
  for (let row = 0; row < tensor.rows; row += step) chunks.push([row, Math.min(row + step, tensor.rows)]);
  return chunks;
}

const padded_rows = (first: number, heads?: HeadLayout) => {
  if (!heads) return (r: number) => first + r;
  const { dim } = heads, pitch = round_up(dim, 4);
  return (r: number) => first + Math.floor(r / dim) * pitch + (r % dim);
};

const padded_columns = (n: number, heads?: HeadLayout): number | Int32Array =>
  heads && heads.dim % 4 ? Int32Array.from({ length: n }, (_, c) => Math.floor(c / heads.dim) * round_up(heads.dim, 4) + (c % heads.dim)) : 0;

/** A column of values as one row of the device vector. */
function as_row(block: Block): Block {
  return { ...block, rows: 1, cols: block.rows, to_row: () => 0, to_col: Int32Array.from({ length: block.rows }, (_, r) => block.to_row(r)) };
}

