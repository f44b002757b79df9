import { MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import { bf16Bits, type Tensor } from '../engine/tensor.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { layOut, readHeader, readTensor, type TensorData, toF32 } from '../loaders/safetensors.ts';
import { count, gather, scatter } from '../model/layout.ts';
import type { State } from './optimiser.ts';

/** What a run must keep to go on with the same bits: all of it f32. */
const kept = ['master', 'moment1', 'moment2', 'average'] as const;

/** Tensors of the optimiser by the checkpoint's names, such as `moment1.image_start`. */
export async function saveState(device: Device, states: readonly State[]): Promise<TensorData[]> {
  const saved: TensorData[] = [];
  for (const state of states)
    for (const what of kept) {
      const rows = await rowsOf(device, state[what]);
      for (const block of state.blocks) {
        const data = gather(block, state[what], rows);
        saved.push({ name: `${what}.${block.name}`, dtype: 'F32', shape: [...block.shape], data });
      }
    }
  return saved;
}

/** What has been learned, by the checkpoint's names, in bf16: the moving average of the weights, or the weights. */
export async function learnedTensors(
  device: Device,
  states: readonly State[],
  what: 'average' | 'master' = 'average',
): Promise<TensorData[]> {
  const tensors: TensorData[] = [];
  for (const state of states) {
    const rows = await rowsOf(device, state[what]);
    for (const block of state.blocks) {
      const data = Uint16Array.from(gather(block, state[what], rows), bf16Bits);
      tensors.push({ name: block.name, dtype: 'BF16', shape: [...block.shape], data });
    }
  }
  return tensors;
}

/** The whole model as a file, part after part: what has been learned in bf16, all else as the checkpoint has it. */
export async function* modelParts(
  checkpoint: Checkpoint,
  names: Iterable<string>,
  learned: readonly TensorData[],
  metadata: Record<string, string>,
): AsyncGenerator<Uint8Array> {
  const mine = new Map(learned.map((tensor) => [tensor.name, tensor])),
    tensors = [...names].map((name) => mine.get(name) ?? { ...checkpoint.place(name).entry, name });
  const { head, entries } = layOut(tensors, { format: 'pt', ...metadata });
  yield head;
  for (const { name, bytes } of entries) {
    const data = mine.get(name)?.data;
    if (data) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    else
      for (let first = 0; first < bytes; first += chunkBytes) {
        const part = new Uint8Array(Math.min(chunkBytes, bytes - first));
        await checkpoint.read(name, first, part);
        yield part;
      }
  }
}

const chunkBytes = 8 << 20;

/** What a tensor holds. Throws `device` where that is no number, so that it is never written. */
async function rowsOf(device: Device, tensor: Tensor): Promise<Float32Array> {
  const rows = new Float32Array(await device.readRows(tensor)),
    at = rows.findIndex((x) => !Number.isFinite(x));
  if (at < 0) return rows;
  throw new MMARError(
    'device',
    `${tensor.name} holds ${rows[at]}, which is not saved; resume from the last save with a lower --lr`,
  );
}

/** Puts back what `saveState` saved. Throws `file` where another run saved it. */
export async function loadState(
  device: Device,
  states: readonly State[],
  source: Source,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  const { tensors } = await readHeader(source, file, signal);
  const expected = states.reduce((sum, { blocks }) => sum + kept.length * blocks.length, 0);
  if (tensors.size !== expected) throw otherRun(source, file, `it has ${tensors.size} tensors, this run ${expected}`);
  for (const state of states) {
    for (const what of kept) {
      const tensor = state[what],
        rows = new Float32Array(tensor.rows * tensor.pitch);
      for (const block of state.blocks) {
        const entry = tensors.get(`${what}.${block.name}`);
        if (entry?.shape.join() !== block.shape.join())
          throw otherRun(source, file, `it has no ${what}.${block.name} of [${block.shape.join(', ')}]`);
        const values = Float32Array.from(toF32(entry, await readTensor(source, file, entry, signal)));
        scatter(block, 0, count(block.rows), values, tensor, rows, 0);
      }
      device.write(tensor, new Uint8Array(rows.buffer));
      // What the model reads is the master, rounded.
      if (what === 'master' && state.tensor !== tensor)
        device.write(state.tensor, new Uint8Array(Uint16Array.from(rows, bf16Bits).buffer));
    }
  }
}

const otherRun = (source: Source, file: string, problem: string): MMARError =>
  new MMARError(
    'file',
    `${file} in ${source.name} is not of this run: ${problem}; resume with the options it began with`,
  );
