// The kernels of matmul that a GPU gets, which any adapter can run: `tiled` sums in the same order as `direct`, to the bit;
// `rows` splits the sum over threads.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type MatmulOptions, matmul } from '../../shaders/matmul.ts';
import { device, numbers, relativeRms, run, tensor } from '../gpu.ts';
import { matmul as reference } from '../reference.ts';

for (const [m, k, n] of [
  [1, 1, 1],
  [3, 5, 7],
  [8, 100, 515],
  [20, 33, 130],
]) {
  const x = numbers(m * k, 'bf16'),
    w = numbers(n * k, 'bf16', 2),
    bias = numbers(n, 'bf16', 3),
    residual = numbers(m * n, 'f32', 4);
  const by = (variant: MatmulOptions['variant']) => {
    const linear = { weight: tensor('bf16', [n, k], w), bias: tensor('bf16', [n], bias) };
    return run((p) =>
      matmul(p, tensor('bf16', [m, k], x), linear, { type: 'f32', variant, residual: tensor('f32', [m, n], residual) }),
    );
  };
  test(`[${m}, ${k}] × [${n}, ${k}]`, async () => {
    const want = reference(x, w, m, k, n).map((v, i) => v + bias[i % n] + residual[i]);
    for (const variant of ['tiled', 'rows'] as const) assert.ok(relativeRms(await by(variant), want) < 1e-6, variant);
    if (device.software) assert.equal([...(await by('tiled'))], [...(await by('direct'))]);
  });
}

test('PLoRA over three projections, in both', async () => {
  const rows = 10,
    k = 12,
    rank = 8,
    firstColumns = [0, 8, 12],
    n = 20,
    x = numbers(rows * k, 'bf16'),
    weight = tensor('bf16', [n, k + rank], numbers(n * (k + rank), 'bf16', 2));
  const linear = {
    weight,
    inFeatures: k,
    lora: { a: tensor('bf16', [3 * rank, k], numbers(3 * rank * k, 'bf16', 3)), rank, scale: 0.5, firstColumns },
  };
  const by = (variant: MatmulOptions['variant']) =>
    run((p) => matmul(p, tensor('bf16', [rows, k], x), linear, { type: 'f32', variant, lora: true }));
  const want = await by('direct');
  for (const variant of ['tiled', 'rows'] as const) assert.ok(relativeRms(await by(variant), want) < 1e-6, variant);
});

test.run();
