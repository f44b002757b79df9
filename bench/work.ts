import type { Dispatch } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { RecordedShape } from './shapes.ts';

/** What a kernel must at least do: multiplications and additions, and bytes to read and write. */
export interface Work {
  flops?: number;
  bytes: number;
}

/** The work of a launch; where a kernel reads a part of an operand only, that part counts. */
export function workOf({ dispatch, contents }: Pick<RecordedShape, 'dispatch' | 'contents'>): Work {
  const { name, read, write } = dispatch,
    all = sizes(read) + sizes(write);
  const rule = rules[name];
  return rule ? { bytes: all, ...rule(dispatch, contents) } : { bytes: all };
}

type Rule = (dispatch: Dispatch, contents: Map<Tensor, Uint32Array>) => Partial<Work>;

const sizes = (tensors: readonly Tensor[]): number => tensors.reduce((sum, { bytes }) => sum + bytes, 0);

const rules: Record<string, Rule | undefined> = {
  matmul({ shape: { m, k, n }, read, write: [y], constants }) {
    const lowRank = constants.low ? read[constants.low as number].cols : 0,
      gate = constants.gate ? read[constants.gate as number] : undefined;
    const bytes = sizes([...read.filter((t) => t !== gate), y]) + (gate ? y.bytes : 0);
    return { flops: 2 * Number(m) * Number(n) * (Number(k) + lowRank), bytes };
  },
  conv2d: ({ read: [, weight], write: [y] }) => ({ flops: 2 * y.rows * weight.rows * weight.cols }),
  /** Queries of each branch see the keys up to their own, or all of an image. */
  attention({ read: [q, k, v, position], write: [y], uniforms }, contents) {
    const [count, branch, , causal] = uniforms,
      branches = q.rows / count,
      past = position.type === 'u32' ? (contents.get(position)?.[branch] ?? 0) : 0;
    const keys = past + (causal ? (count + 1) / 2 : count),
      rows = k === q ? 0 : branches * (past + count) * 2 * k.rowBytes;
    return { flops: 4 * y.rows * y.cols * keys, bytes: sizes(k === q ? [q, y] : [q, y]) + (v === q ? 0 : rows) };
  },
  /** All weights meet each row in each step. */
  denoise: ({ read: [modulation, weights, vectors], write: [x], uniforms: [, steps] }) => ({
    flops: 2 * steps * x.rows * weights.rows * weights.cols,
    bytes: steps * sizes([weights, vectors]) + modulation.bytes + 2 * x.bytes,
  }),
  /** Of a wider tensor with all blocks' modulations it reads the final layer's. */
  denoise_step: ({ read: [, final, , input], write: [x, h], constants: { branches } }) => ({
    flops: 2 * (x.rows * final.rows * final.cols + (x.rows / Number(branches)) * input.rows * input.cols),
    bytes: sizes([final, input]) + 2 * x.bytes + 4 * h.bytes,
  }),
  gather_rows: ({ write: [y] }) => ({ bytes: 2 * y.bytes }),
  /** Of a wider tensor with all blocks' modulations it reads one's. */
  layer_norm: ({ write: [y] }) => ({ bytes: 2 * y.bytes }),
  place_rows: ({ read: [x] }) => ({ bytes: 2 * x.bytes }),
};
