// The kernels' operations as plain f64 loops over plain arrays: slow, obvious, and the definition of correct.
import { roundUp } from '../engine/tensor.ts';

type Values = ArrayLike<number>;

/** 1 - erf x to 1e-12 relative: its series near 0, its continued fraction far out. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x > 1.5) {
    let fraction = 0;
    for (let k = 120; k > 0; k--) fraction = k / 2 / (x + fraction);
    return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + fraction));
  }
  let term = x,
    sum = x;
  for (let n = 1; n < 100; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return 1 - (2 / Math.sqrt(Math.PI)) * sum;
}

export const none = (x: number): number => x;
export const gelu = (x: number): number => x * 0.5 * erfc(-x / Math.SQRT2);
export const silu = (x: number): number => x / (1 + Math.exp(-x));
export const activations = { none, gelu, silu };

/** x [rows, k] times the transpose of w [n, k], rows of w `pitch` apart and `first` in. */
export function matmul(x: Values, w: Values, rows: number, k: number, n: number, pitch = k, first = 0): Float64Array {
  const y = new Float64Array(rows * n);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < n; c++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x[r * k + i] * w[c * pitch + first + i];
      y[r * n + c] = sum;
    }
  }
  return y;
}

/** (x - mean) / sqrt(var + eps) over the elements of x that `group` calls one group. */
export function normalize(x: Values, group: (i: number) => number, eps: number): Float64Array {
  const n: number[] = [],
    sum: number[] = [],
    squares: number[] = [];
  for (let i = 0; i < x.length; i++) {
    const g = group(i);
    n[g] = (n[g] ?? 0) + 1;
    sum[g] = (sum[g] ?? 0) + x[i];
  }
  for (let i = 0; i < x.length; i++) {
    const g = group(i);
    squares[g] = (squares[g] ?? 0) + (x[i] - sum[g] / n[g]) ** 2;
  }
  return Float64Array.from(
    x,
    (v, i) => (v - sum[group(i)] / n[group(i)]) / Math.sqrt(squares[group(i)] / n[group(i)] + eps),
  );
}

export interface AttentionShape {
  heads: number;
  kvHeads: number;
  headDim: number;
  /** Queries; they are the last of the keys. */
  count: number;
  past: number;
  causal: boolean;
}

/**
 * softmax(q kᵀ / sqrt(headDim) + mask) v. q [count, heads × headDim], k and v [past + count, kvHeads × headDim], each
 * head in whole quads; the result as q.
 */
export function attention(
  q: Values,
  k: Values,
  v: Values,
  { heads, kvHeads, headDim, count, past, causal }: AttentionShape,
): Float64Array {
  const d = roundUp(headDim, 4),
    y = new Float64Array(count * heads * d);
  for (let i = 0; i < count; i++) {
    const seen = past + (causal ? i + 1 : count);
    for (let head = 0; head < heads; head++) {
      const from = (i * heads + head) * d,
        key = (j: number) => (j * kvHeads + Math.floor((head * kvHeads) / heads)) * d;
      const scores = Array.from({ length: seen }, (_, j) => {
        let s = 0;
        for (let e = 0; e < headDim; e++) s += q[from + e] * k[key(j) + e];
        return s / Math.sqrt(headDim);
      });
      const top = Math.max(...scores),
        weights = scores.map((s) => Math.exp(s - top)),
        sum = weights.reduce((a, b) => a + b);
      for (let e = 0; e < headDim; e++)
        for (let j = 0; j < seen; j++) y[from + e] += (weights[j] / sum) * v[key(j) + e];
    }
  }
  return y;
}

/** 3×3 convolution of x [height, width, in] with w [out, 3, 3, in] over a picture that is already padded as wanted. */
export function conv3x3(
  x: Values,
  height: number,
  width: number,
  w: Values,
  channels: { in: number; out: number },
  stride: number,
): Float64Array {
  const outHeight = Math.floor((height - 3) / stride) + 1,
    outWidth = Math.floor((width - 3) / stride) + 1;
  const y = new Float64Array(outHeight * outWidth * channels.out);
  for (let i = 0; i < outHeight; i++) {
    for (let j = 0; j < outWidth; j++) {
      for (let o = 0; o < channels.out; o++) {
        let sum = 0;
        for (let tap = 0; tap < 9; tap++) {
          const pixel = (i * stride + Math.floor(tap / 3)) * width + j * stride + (tap % 3);
          for (let c = 0; c < channels.in; c++) sum += x[pixel * channels.in + c] * w[(o * 9 + tap) * channels.in + c];
        }
        y[(i * outWidth + j) * channels.out + o] = sum;
      }
    }
  }
  return y;
}
