import type { Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { activation } from './activation.ts';
import { add } from './add.ts';
import { checkShape } from './common.ts';
import { gate } from './gate.ts';
import { linearBackward } from './linear_backward.ts';
import { type Activation, canPair, type Gate, gemm } from './matmul.ts';
import { type FusedNorm, fuseNorm, type Norm, normalize } from './norm.ts';
import { swiglu } from './swiglu.ts';

/** A linear layer's weights, as the loader lays them out. */
export interface Linear {
  /** W, [out, in] */
  weight: Tensor;
  /** [out] */
  bias?: Tensor;
  lora?: LowRank;
  /** W with the low-rank part added (`mergeLowRank`): serves image tokens in its place. */
  merged?: Tensor;
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
  /** Normalizes x first: within the product's kernel where rows are few, with the same bits. */
  norm?: Norm;
  act?: Activation;
  /** SwiGLU: y is silu(first) ⊙ second of so many columns each, the second's from a whole quad on; nothing else follows. */
  swiglu?: number;
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
  if (options.lora && layer.merged) {
    const { weight, merged, bias } = layer;
    return linear(p, x, { weight: merged, bias }, { name: weight.name, ...options, lora: false });
  }
  if (options.swiglu !== undefined && (p.tape || options.lora || !canPair(p, x, layer.weight))) {
    const { swiglu: width, ...rest } = options;
    return swiglu(p, linear(p, x, layer, rest), width);
  }
  if (options.norm) {
    const { norm, ...rest } = options,
      fused = p.tape || rest.lora ? undefined : fuseNorm(p, x, layer.weight, norm);
    if (!fused) return linear(p, normalize(p, x, norm), layer, rest);
    return product(p, x, layer, rest, fused).y;
  }
  const { weight, bias, lora } = layer,
    { act = 'none', gate, residual, type, into, name = weight.name } = options;
  checkShape(!options.lora || lora !== undefined, `linear ${name}`, 'a layer with a low-rank part', x, weight);
  const low = options.lora ? lora : undefined,
    inputs = [x, weight, bias, low?.a, low?.b, residual, gate?.tensor].filter((t) => t !== undefined);
  if (!inputs.some((t) => p.tape?.wants(t))) return product(p, x, layer, options).y;
  if (act !== 'none' || gate) return inSteps(p, x, layer, options);
  let made: ReturnType<typeof product>;
  return p.composite(
    name,
    inputs,
    () => {
      made = product(p, x, layer, { lora: options.lora, residual, type, into, name });
      return made.y;
    },
    (dy) => {
      if (residual) p.tape!.give(residual, dy);
      linearBackward(p, x, layer, made.low, dy);
    },
  );
}

/** The same with what stands before activation and gate kept for the way back. */
function inSteps(p: Recorder, x: Tensor, layer: Linear, options: LinearOptions): Tensor {
  const { act = 'none', gate: columns, residual, lora, type, into, name } = options;
  checkShape(!into, `linear ${name}`, 'a tensor of its own where gradients lead back through activation or gate', x);
  let y = linear(p, x, layer, { lora, type: residual?.type ?? type, name });
  if (act !== 'none') y = activation(p, y, act);
  if (columns) return gate(p, y, columns, residual);
  return residual ? add(p, y, residual) : y;
}

function product(
  p: Recorder,
  x: Tensor,
  layer: Linear,
  options: LinearOptions,
  norm?: FusedNorm,
): { y: Tensor; low?: Tensor } {
  const { weight, bias, lora } = layer,
    { act, gate, residual, type, into, swiglu: pairs, name = weight.name } = options;
  const plus = options.lora &&
    lora && {
      a: gemm(p, { a: x, b: lora.a, transposeB: true, epilogue: { alpha: lora.scale }, label: `${name} lora_A` }),
      b: lora.b,
      firstColumns: lora.firstColumns,
    };
  const epilogue = { bias, act, gate, residual };
  const y = gemm(p, {
    a: x,
    b: weight,
    transposeB: true,
    plus: plus || undefined,
    norm,
    epilogue,
    pairs,
    type,
    into,
    label: name,
  });
  return { y, low: plus ? plus.a : undefined };
}
