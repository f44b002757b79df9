import { test } from 'uvu';
import { rmsNorm } from '../../shaders/rms_norm.ts';
import { rmsNormBackward } from '../../shaders/rms_norm_backward.ts';
import { numbers, shapeError, tensor } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [2, 130],
    [70, 96],
  ]) {
    test(`${type} [${rows}, ${cols}]`, () =>
      checkGradients(
        { x: random(type, [rows, cols], 1), w: random('bf16', [cols], 2) },
        (p, { x, w }) => rmsNorm(p, x, w, 1e-6),
        ({ x, w }) => {
          const sizes = Float64Array.from({ length: rows }, (_, r) => {
            const row = x.subarray(r * cols, (r + 1) * cols);
            return Math.sqrt(row.reduce((a, b) => a + b * b, 0) / cols + 1e-6);
          });
          return x.map((v, i) => (v / sizes[Math.floor(i / cols)]) * w[i % cols]);
        },
        cols === 1 ? 2e-2 : type === 'f32' ? 3e-6 : 8e-3,
      ));
  }
}

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) =>
      rmsNormBackward(
        p,
        tensor('f32', [2, 5], numbers(10)),
        tensor('bf16', [5], numbers(5)),
        1e-6,
        tensor('f32', [2, 4], []),
        false,
      ).dx,
    /rms_norm_backward: test f32\[2,5\], test bf16\[5\], test f32\[2,4\]/,
  ));

test.run();
