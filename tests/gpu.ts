// A device for tests, on the adapter that `MMAR_ADAPTER` names, and tensors from and to plain numbers.

import { MMARError } from '../base/error.ts';
import { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { type ElementType, packRows, roundUp, Tensor } from '../engine/tensor.ts';
import { nodeAdapter } from '../platform/node_gpu.ts';

export const device = await Device.open((await nodeAdapter(process.env.MMAR_ADAPTER)).adapter);

/** A device that uses the kernels made for real GPUs. */
export const hardwareDevice = async (): Promise<Device> =>
  Device.open((await nodeAdapter(process.env.MMAR_ADAPTER)).adapter, { kind: 'hardware' });

/** A device that splits tensors over buffers of at most `maxBinding` bytes. */
export const smallDevice = async (maxBinding: number): Promise<Device> =>
  Device.open((await nodeAdapter(process.env.MMAR_ADAPTER)).adapter, { maxBinding });

/** A lasting tensor with these values (rounded to bf16 where it is one). */
export function tensor(type: ElementType, shape: number[], values: ArrayLike<number>, on = device): Tensor {
  const t = on.tensor('test', type, shape);
  if (values.length) on.write(t, packRows(type, t.cols, values));
  return t;
}

/** Runs `record` once and returns what it returns, read back; what no kernel writes there is NaN. */
export async function run(record: (p: Recorder) => unknown, on = device): Promise<Float32Array> {
  let result: Tensor | undefined;
  const program = await on.record('test', (p) => {
    const returned = record(p),
      made = returned instanceof Tensor ? returned : undefined,
      scratch = made?.pieces.filter((piece) => p.made.has(piece)) ?? [];
    if (made) result = p.keep(made);
    for (const { buffer } of scratch) on.gpu.queue.writeBuffer(buffer!, 0, new Uint8Array(buffer!.size).fill(255));
  });
  await on.queue.run(program);
  await on.queue.idle();
  const values = result ? await on.read(result) : new Float32Array();
  on.check();
  return values;
}

/** A tensor with its rows' padding as columns of its own. */
export function raw(t: Tensor): Tensor {
  const whole = new Tensor(`${t.name} raw`, t.type, [t.rows, t.pitch]);
  whole.pieces = t.pieces;
  return whole;
}

/** Values of [rows, pitch] without their padding, which must be zeros. */
export function unpad(values: ArrayLike<number>, cols: number): Float64Array {
  const pitch = roundUp(cols, 4),
    rows = values.length / pitch,
    out = new Float64Array(rows * cols);
  for (let i = 0; i < values.length; i++) {
    const r = Math.floor(i / pitch),
      c = i % pitch;
    if (c < cols) out[r * cols + c] = values[i];
    else if (values[i] !== 0) throw new Error(`padding column ${c} of row ${r} is ${values[i]}`);
  }
  return out;
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
export function relativeRms(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let difference = 0,
    size = 0;
  for (let i = 0; i < want.length; i++) {
    difference += (got[i] - want[i]) ** 2;
    size += want[i] ** 2;
  }
  return got.length === want.length ? Math.sqrt(difference / Math.max(size, 1e-300)) : Infinity;
}

/** The largest difference of two elements, relative to the element or, where that is less, to the root mean square of all. */
export function worst(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let size = 0,
    most = 0;
  for (let i = 0; i < want.length; i++) size += want[i] ** 2 / want.length;
  for (let i = 0; i < want.length; i++) {
    if (got[i] === want[i]) continue;
    const error = Math.abs(got[i] - want[i]) / Math.max(Math.abs(want[i]), Math.sqrt(size));
    most = error >= 0 ? Math.max(most, error) : Infinity;
  }
  return got.length === want.length ? most : Infinity;
}

/** Fails unless every element is within `bound` (see `worst`): rounding to bf16 alone takes up to 2^-8. */
export function close(got: ArrayLike<number>, want: ArrayLike<number>, bound: number): void {
  const error = worst(got, want);
  if (!(error <= bound)) throw new Error(`off by ${error}, over ${bound} (${got.length} values, want ${want.length})`);
}

/** Fails unless recording this gives a `shape` error with that message. */
export async function shapeError(record: (p: Recorder) => unknown, message: RegExp): Promise<void> {
  const error = await run(record).then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof MMARError && error.code === 'shape' && message.test(error.message)))
    throw new Error(`want a shape error like ${message}, got ${error}`);
}

/** Fails unless this call fails with that code; gives its message. */
export async function refused(call: () => Promise<unknown>, code: string): Promise<string> {
  const error = await call().then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof MMARError && error.code === code)) throw new Error(`want ${code}, got ${error}`);
  return error.message;
}
