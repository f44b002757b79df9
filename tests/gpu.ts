// A device for tests, on the adapter that `MMAR_ADAPTER` names, and tensors from and to plain numbers.
import { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { type ElementType, type Tensor, pack_rows } from '../engine/tensor.ts';
import { node_adapter } from '../platform/node_gpu.ts';

export const device = await Device.open((await node_adapter(process.env.MMAR_ADAPTER)).adapter);

/** A device that splits tensors over buffers of at most `max_binding` bytes. */
export const small_device = async (max_binding: number): Promise<Device> => Device.open((await node_adapter(process.env.MMAR_ADAPTER)).adapter, { max_binding });

/** A lasting tensor with these values (rounded to bf16 where it is one). */
export function tensor(type: ElementType, shape: number[], values: ArrayLike<number>, on = device): Tensor {
  const t = on.tensor('test', type, shape);
  if (values.length) on.write(t, pack_rows(type, t.cols, values) as Uint8Array<ArrayBuffer>);
  return t;
}

/** Runs `record` once and returns what it returns, read back: a tensor must be copied out of scratch to be seen. */
export async function run(record: (p: Recorder) => Tensor | void, on = device): Promise<Float32Array> {
  let result: Tensor | undefined;
  const program = await on.record('test', (p) => {
    const made = record(p);
    if (made) result = keep(p, made);
  });
  on.run(program);
  const values = result ? await on.read(result) : (await on.idle(), new Float32Array());
  on.check();
  return values;
}

/** Gives a scratch tensor memory of its own, so that it can be read after the run. */
function keep(p: Recorder, t: Tensor): Tensor {
  for (const piece of t.pieces) {
    if (!p.made.delete(piece)) continue;
    piece.buffer = p.device.memory.create(Math.max(1, piece.rows) * t.row_bytes, t.name);
  }
  return t;
}

/** Rounds to bf16 (nearest even), as a number. */
export function bf16(x: number): number {
  const bits = new Uint32Array(new Float32Array([x]).buffer);
  if ((bits[0] & 0x7fffffff) <= 0x7f800000) bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0];
}

/** Reproducible numbers in [-1, 1), as bf16 or f32 values. */
export function numbers(n: number, type: ElementType = 'f32', seed = 1): Float32Array {
  let state = seed >>> 0 || 1;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const x = state / 2 ** 31 - 1;
    return type === 'bf16' ? bf16(x) : Math.fround(x);
  });
}

/** Root of the mean squared difference over that of the reference. */
export function relative_rms(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let difference = 0, size = 0;
  for (let i = 0; i < want.length; i++) {
    difference += (got[i] - want[i]) ** 2;
    size += want[i] ** 2;
  }
  return got.length === want.length ? Math.sqrt(difference / Math.max(size, 1e-300)) : Infinity;
}
