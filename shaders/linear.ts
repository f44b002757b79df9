import type { Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { checkShape } from './common.ts';
import { type Activation, type Gate, gemm } from './matmul.ts';

/** A linear layer's weights, as the loader lays them out. */
export interface Linear {
  /** W, [out, in] */
  weight: Tensor;
  /** [out] */
  bias?: Tensor;
  lora?: LowRank;
}

/** PLoRA's low-rank parts (spec section 3.7) of one to three fused projections. */
export interface LowRank {
  /** A of each projection, one below the other: [projections × rank (in whole quads), in] */
  a: Tensor;
  /** B of each projection, one below the other as in W: [out, rank (in whole quads)] */
  b: Tensor;
  /** alpha / rank */
  scale: number;
  /** Columns of y where each projection begins, the first is 0: each a multiple of four. */
  firstColumns: number[];
}

export interface LinearOptions {
  act?: Activation;
  /** Multiplies act(…) before the residual is added (AdaLN). */
  gate?: Gate;
  /** Added last: y += residual, of y's shape and type. */
  residual?: Tensor;
  /** Use the low-rank part, which the layer must have: image tokens only. */
  lora?: boolean;
  /** Element type of y: that of `into`, of the residual or of x unless given. */
  type?: ElementType;
  /** Where to write; a new tensor unless given. */
  into?: Tensor;
  /** In reports; the weight's name unless given. */
  name?: string;
}

/**
 * A layer: y = act(W x + b) ⊙ gate + residual, with PLoRA's `(alpha/rank) B(A x)` added to the sum where `lora` is set.
 * @param x [rows, in]
 * @returns [rows, out]. Throws `shape` where operands do not fit each other
 */
export function linear(p: Recorder, x: Tensor, layer: Linear, options: LinearOptions = {}): Tensor {
  const { weight, bias, lora } = layer,
    { act, gate, residual, type, into, name = weight.name } = options;
  checkShape(!options.lora || lora !== undefined, `linear ${name}`, 'a layer with a low-rank part', x, weight);
  const plus = options.lora &&
    lora && {
      a: gemm(p, { a: x, b: lora.a, transposeB: true, epilogue: { alpha: lora.scale }, label: `${name} lora_A` }),
      b: lora.b,
      firstColumns: lora.firstColumns,
    };
  const epilogue = { bias, act, gate, residual };
  return gemm(p, { a: x, b: weight, transposeB: true, plus: plus || undefined, epilogue, type, into, label: name });
}
