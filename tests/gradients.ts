// Gradients that kernels leave on the tape, against central differences of a plain f64 forward pass.
import type { Recorder } from '../engine/program.ts';
import { Tape } from '../engine/tape.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { add } from '../shaders/add.ts';
import { close, device, numbers, run, tensor } from './gpu.ts';

export interface Operand {
  type: ElementType;
  shape: number[];
  values: ArrayLike<number>;
  /** Whether its gradient is asked for and compared. */
  learns?: boolean;
  /** Elements that pad a head: their gradient means nothing. */
  padding?: (i: number) => boolean;
}

/** An operand of random values in [-size, size), rounded to its type. */
export const random = (type: ElementType, shape: number[], seed: number, size = 1): Operand => {
  const values = numbers(
    shape.reduce((a, b) => a * b),
    type,
    seed,
  );
  return { type, shape, values: size === 1 ? values : values.map((v) => v * size), learns: true };
};

export const fixed = (type: ElementType, shape: number[], values: ArrayLike<number>): Operand => ({
  type,
  shape,
  values,
});

/** Leads the gradient `dy` back from y, as a loss Σ dy y does. */
export function backFrom(p: Recorder, y: Tensor, dy: Tensor): void {
  const loss = p.composite(
    'loss',
    [y],
    () => p.tensor('loss', 'f32', [1]),
    () => p.tape!.give(y, dy),
  );
  p.tape!.backward(loss, p.tensor('one', 'f32', [1]));
}

/** The gradients (f32) that the tape gives each operand that learns, for Σ dy y, dy random. */
export async function gradients<K extends string>(
  operands: Record<K, Operand>,
  record: (p: Recorder, t: Record<K, Tensor>) => Tensor,
  on = device,
): Promise<{ dy: Float32Array; of: Record<K, Float32Array> }> {
  const names = Object.keys(operands) as K[],
    tensors = {} as Record<K, Tensor>,
    sinks = new Map<Tensor, Tensor>();
  for (const name of names) {
    const { type, shape, values, learns } = operands[name];
    tensors[name] = tensor(type, shape, values, on);
    if (learns) sinks.set(tensors[name], on.tensor(`d${name}`, 'f32', shape));
  }
  let dy = new Float32Array();
  await run((p) => {
    p.tape = new Tape(p, sinks, add);
    const y = record(p, tensors);
    dy = Float32Array.from(numbers(y.rows * y.cols, y.type, 99));
    backFrom(p, y, tensor(y.type, [...y.shape], dy, on));
  }, on);
  const of = {} as Record<K, Float32Array>;
  for (const name of names) {
    const sink = sinks.get(tensors[name]);
    if (sink) of[name] = await on.read(sink);
  }
  return { dy, of };
}

/**
 * Fails unless the tape's gradients are central differences of `forward` to within `bound` (see `close`).
 * @param forward y of the operands' values, its elements as the recorded result's, in f64
 */
export async function checkGradients<K extends string>(
  operands: Record<K, Operand>,
  record: (p: Recorder, t: Record<K, Tensor>) => Tensor,
  forward: (v: Record<K, Float64Array>) => ArrayLike<number>,
  bound: number,
  on = device,
): Promise<void> {
  const { dy, of } = await gradients(operands, record, on);
  const values = {} as Record<K, Float64Array>;
  for (const [name, { values: v }] of Object.entries(operands) as [K, Operand][]) values[name] = Float64Array.from(v);
  const loss = (): number => {
    const y = forward(values);
    if (y.length !== dy.length) throw new Error(`the reference gives ${y.length} values, the kernel ${dy.length}`);
    let sum = 0;
    for (let i = 0; i < y.length; i++) sum += dy[i] * y[i];
    return sum;
  };
  for (const [name, got] of Object.entries(of) as [K, Float32Array][]) {
    const v = values[name],
      every = Math.ceil(v.length / 200),
      want: number[] = [],
      some: number[] = [];
    for (let i = 0; i < v.length; i += every) {
      if (operands[name].padding?.(i)) continue;
      const h = 1e-4 * Math.max(1, Math.abs(v[i])),
        before = v[i];
      v[i] = before + h;
      const above = loss();
      v[i] = before - h;
      want.push((above - loss()) / (2 * h));
      v[i] = before;
      some.push(got[i]);
    }
    try {
      close(some, want, bound);
    } catch (error) {
      throw new Error(`gradient of ${name}: ${(error as Error).message}`);
    }
  }
}
