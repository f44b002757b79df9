import { test } from 'uvu';
import type { ElementType } from '../../engine/tensor.ts';
import { linear } from '../../shaders/linear.ts';
import { gemm } from '../../shaders/matmul.ts';
import { scale } from '../../shaders/scale.ts';
import { close, device, numbers, run, shapeError, smallDevice, tensor } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';
import { activations, matmul } from '../reference.ts';

const bound = (type: ElementType): number => (type === 'f32' ? 5e-6 : 2e-2);

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, k, n] of [[1, 1, 1], [13, 22, 9], ...(type === 'bf16' ? [[40, 16, 70]] : [])]) {
    test(`${type} [${rows}, ${k}] × [${n}, ${k}]: weight, bias, residual`, () =>
      checkGradients(
        {
          x: random(type, [rows, k], 1),
          w: random(type, [n, k], 2),
          b: random(type, [n], 3),
          r: random(type, [rows, n], 4),
        },
        (p, { x, w, b, r }) => linear(p, x, { weight: w, bias: b }, { residual: r }),
        ({ x, w, b, r }) => matmul(x, w, rows, k, n).map((v, i) => v + b[i % n] + r[i]),
        bound(type),
      ));

    test(`${type} [${rows}, ${k}] × [${n}, ${k}]: gelu, silu with gate and residual`, async () => {
      const operands = { x: random(type, [rows, k], 1), w: random(type, [n, k], 2), b: random(type, [n], 3) },
        plain = (v: Record<'x' | 'w' | 'b', Float64Array>) =>
          matmul(v.x, v.w, rows, k, n).map((y, i) => y + v.b[i % n]);
      await checkGradients(
        operands,
        (p, { x, w, b }) => linear(p, x, { weight: w, bias: b }, { act: 'gelu' }),
        (v) => plain(v).map(activations.gelu),
        bound(type),
      );
      const wide = 4 + 4 * Math.ceil(n / 4);
      await checkGradients(
        { ...operands, g: random(type, [rows, wide], 5), r: random(type, [rows, n], 6) },
        (p, { x, w, b, g, r }) =>
          linear(
            p,
            x,
            { weight: w, bias: b },
            { act: 'silu', gate: { tensor: scale(p, g, 1), first: 4 }, residual: r },
          ),
        (v) => plain(v).map((y, i) => activations.silu(y) * v.g[Math.floor(i / n) * wide + 4 + (i % n)] + v.r[i]),
        bound(type),
      );
    });
  }

  for (const [rows, k, n, rank, firstColumns] of [
    [9, 10, 22, 6, [0, 8]],
    [33, 12, 30, 8, [0, 12, 20]],
  ] as [number, number, number, number, number[]][]) {
    test(`${type} [${rows}, ${k}] × [${n}, ${k}] with PLoRA of rank ${rank} over ${firstColumns}`, () =>
      checkPLoRA(type, rows, k, n, rank, firstColumns));
  }
}

test('PLoRA whose gradients lie in pieces, one with the end of a run in it', async () => {
  await checkPLoRA('bf16', 9, 10, 22, 6, [0, 8], await smallDevice(640));
});

function checkPLoRA(
  type: ElementType,
  rows: number,
  k: number,
  n: number,
  rank: number,
  firstColumns: number[],
  on = device,
): Promise<void> {
  const wide = 4 * Math.ceil(rank / 4),
    runs = firstColumns.length;
  // A rank is padded to whole quads with zeros, as loading leaves it.
  const a = random(type, [runs * wide, k], 2),
    b = random(type, [n, wide], 3);
  const padded = (t: typeof a, unused: (i: number) => boolean) => ({
    ...t,
    values: Float32Array.from(t.values, (v, i) => (unused(i) ? 0 : v)),
  });
  return checkGradients(
    {
      x: random(type, [rows, k], 1),
      w: random(type, [n, k], 4),
      a: padded(a, (i) => Math.floor(i / k) % wide >= rank),
      b: padded(b, (i) => i % wide >= rank),
    },
    (p, { x, w, a, b }) => linear(p, x, { weight: w, lora: { a, b, scale: 0.5, firstColumns } }, { lora: true }),
    ({ x, w, a, b }) => {
      const low = matmul(x, a, rows, k, runs * wide);
      return matmul(x, w, rows, k, n).map((y, i) => {
        const run = firstColumns.filter((c) => c <= i % n).length - 1;
        let sum = y;
        for (let e = 0; e < wide; e++)
          sum += 0.5 * low[Math.floor(i / n) * runs * wide + run * wide + e] * b[(i % n) * wide + e];
        return sum;
      });
    },
    bound(type),
    on,
  );
}

test('logits in f32 of bf16 activations; a weight whose gradient lies in pieces', async () => {
  const operands = { x: random('bf16', [5, 12], 1), w: random('bf16', [30, 12], 2) };
  const forward = (v: Record<'x' | 'w', Float64Array>) => matmul(v.x, v.w, 5, 12, 30);
  const small = await smallDevice(1024);
  for (const on of [device, small])
    await checkGradients(operands, (p, { x, w }) => linear(p, x, { weight: w }, { type: 'f32' }), forward, 1e-2, on);
});

test('a product of blocks', async () => {
  const a = numbers(6 * 16),
    b = numbers(12 * 16, 'f32', 2),
    into = tensor('f32', [7, 12], new Float32Array(84).fill(1));
  const block = { m: 3, k: 8, n: 5, a: [2, 4], b: [3, 8], y: [1, 4] } as const;
  await run((p) =>
    gemm(p, {
      a: tensor('f32', [6, 16], a),
      b: tensor('f32', [12, 16], b),
      into,
      accumulate: true,
      block: { ...block, a: [2, 4], b: [3, 8], y: [1, 4] },
    }),
  );
  const want = new Float64Array(84).fill(1);
  for (let m = 0; m < block.m; m++)
    for (let n = 0; n < block.n; n++)
      for (let k = 0; k < block.k; k++) want[(m + 1) * 12 + n + 4] += a[(m + 2) * 16 + 4 + k] * b[(k + 3) * 16 + 8 + n];
  close(await device.read(into), want, 1e-6);
  await shapeError(
    (p) =>
      gemm(p, {
        a: tensor('f32', [6, 16], a),
        b: tensor('f32', [12, 16], b),
        block: { ...block, a: [4, 4], b: [3, 8], y: [1, 4] },
      }),
    /matmul test: test f32\[6,16\]/,
  );
});

test.run();
