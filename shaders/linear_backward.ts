import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { columnSum } from './column_sum.ts';
import type { Linear, LowRank } from './linear.ts';
import { type Block, gemm } from './matmul.ts';
import { transpose } from './transpose.ts';

/**
 * What leads back from y = W x + b + B low, low = scale A x: dx = dy W + scale (dy B) A, dW += dyᵀ x, db += Σ dy,
 * dB += dyᵀ low, dA += scale (dy B)ᵀ x, each of those that are wanted.
 * @param low [rows, projections × rank], where the layer's low-rank part was used
 * @param dy [rows, out]
 */
export function linearBackward(
  p: Recorder,
  x: Tensor,
  { weight, bias, lora }: Linear,
  low: Tensor | undefined,
  dy: Tensor,
): void {
  const tape = p.tape!,
    { name } = weight;
  const turned = [weight, low && lora?.b].some((t) => tape.wants(t)) ? transpose(p, dy) : dy;
  if (bias && tape.wants(bias)) columnSum(p, dy, { into: tape.sink(bias) });
  if (tape.wants(weight)) outer(p, turned, x, tape.sink(weight)!, `${name} gradient`);
  const dlow = low && lora && [x, lora.a].some((t) => tape.wants(t)) ? throughRuns(p, dy, lora, low) : undefined;
  if (low && lora && tape.wants(lora.b))
    upGradient(p, turned, low, lora, tape.sink(lora.b)!, `${name} lora_B gradient`);
  if (dlow && lora && tape.wants(lora.a))
    outer(p, transpose(p, dlow), x, tape.sink(lora.a)!, `${name} lora_A gradient`, lora.scale);
  if (!tape.wants(x)) return;
  const dx = gemm(p, { a: dy, b: weight, type: x.type, label: `${name} dx` });
  if (!dlow || !lora) tape.give(x, dx);
  else
    tape.give(
      x,
      gemm(p, { a: dlow, b: lora.a, epilogue: { alpha: lora.scale, residual: dx }, label: `${name} lora_A dx` }),
    );
}

/** into += alpha turned x, a piece of `into` at a time. */
function outer(p: Recorder, turned: Tensor, x: Tensor, into: Tensor, label: string, alpha = 1): void {
  for (const { part, firstRow } of into.parts()) {
    const block: Block = { m: part.rows, k: x.rows, n: x.cols, a: [firstRow, 0] };
    gemm(p, { a: turned, b: x, into: part, accumulate: true, block, epilogue: { alpha }, label });
  }
}

/** into += turned low: each run of its rows by its own part of `low`, a piece of `into` at a time. */
function upGradient(p: Recorder, turned: Tensor, low: Tensor, lora: LowRank, into: Tensor, label: string): void {
  const rank = lora.b.pitch;
  for (const [i, { first, count }] of runs(lora, into.rows).entries())
    for (const { part, firstRow } of into.parts()) {
      const from = Math.max(first, firstRow),
        m = Math.min(first + count, firstRow + part.rows) - from;
      if (m <= 0) continue;
      const block: Block = { m, k: low.rows, n: rank, a: [from, 0], b: [0, i * rank], y: [from - firstRow, 0] };
      gemm(p, { a: turned, b: low, into: part, accumulate: true, block, label });
    }
}

/** The gradient of `low`: each run of dy's columns times its rows of B. */
function throughRuns(p: Recorder, dy: Tensor, lora: LowRank, low: Tensor): Tensor {
  const dlow = p.tensor('lora dlow', low.type, low.shape),
    rank = lora.b.pitch;
  for (const [i, { first, count }] of runs(lora, dy.cols).entries()) {
    const block: Block = { m: dy.rows, k: count, n: rank, a: [0, first], b: [first, 0], y: [0, i * rank] };
    gemm(p, { a: dy, b: lora.b, into: dlow, block, label: 'lora dlow' });
  }
  return dlow;
}

/** The columns of y that each fused projection makes. */
function runs({ firstColumns }: LowRank, columns: number): { first: number; count: number }[] {
  return firstColumns.map((first, i) => ({ first, count: (firstColumns[i + 1] ?? columns) - first }));
}
