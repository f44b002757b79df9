import { checkCancelled, MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { Uploads } from '../engine/upload.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { DTYPE_BYTES, type DType, toBf16, toF32 } from '../loaders/safetensors.ts';
import { type Axis, type Block, count, type Elements, lowerBound, place, scatter } from './layout.ts';
import type { Planned, Weights } from './weights.ts';

/** Bytes of weights that are on the device, of all. */
export interface LoadProgress {
  loaded: number;
  total: number;
}

const chunkBytes = 8 << 20; // of one read: bounds the host's memory
const readsAhead = 3;
const slots = 6; // chunks that are read or uploaded at once

/**
 * Streams every tensor to the device: the next chunks are read while one is uploaded, and the host holds a few at a
 * time, whatever the model's size.
 *
 * Throws `checkpoint` where a tensor is missing or wrong, `adapter` where the device has no memory for all; who catches
 * it calls `weights.release`.
 */
export async function loadWeights(
  device: Device,
  weights: Weights,
  checkpoint: Checkpoint,
  onProgress?: (progress: LoadProgress) => void,
  signal?: AbortSignal,
): Promise<void> {
  weights.check(checkpoint);
  device.gpu.pushErrorScope('out-of-memory');
  weights.allocate(device);
  const failure = await device.gpu.popErrorScope();
  if (failure)
    throw new MMARError(
      'adapter',
      `${checkpoint.source.name}: ${noMemory(weights.bytes, weights.type)} (${failure.message.split('\n')[0]})`,
    );
  device.check();
  await streamTensors(device, checkpoint, weights.layout, onProgress, signal);
}

/** Loads those tensors of the device anew in which tensors of these names lie. */
export async function reloadWeights(
  device: Device,
  weights: Weights,
  checkpoint: Checkpoint,
  names: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<void> {
  const touched = weights.layout.filter(({ blocks }) => blocks.some(({ name }) => names.has(name)));
  await streamTensors(device, checkpoint, touched, undefined, signal);
}

/** Streams these tensors to the device. */
export async function streamTensors(
  device: Device,
  checkpoint: Checkpoint,
  plan: readonly Planned[],
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
      compareText(fileOf(x).file, fileOf(y).file) || fileOf(x).entry.offset - fileOf(y).entry.offset || x.from - y.from,
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

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Rows of a device tensor that are read and uploaded at once. */
interface Chunk extends Planned {
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
