import { test } from 'uvu';
import type { Tensor } from '../../engine/tensor.ts';
import { layerNorm } from '../../shaders/layer_norm.ts';
import { layerNormBackward } from '../../shaders/layer_norm_backward.ts';
import { scale } from '../../shaders/scale.ts';
import { numbers, shapeError, tensor } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';
import { normalize } from '../reference.ts';

const eps = 1e-6;

for (const type of ['bf16', 'f32'] as const) {
  const bound = type === 'f32' ? 2e-5 : 2e-2;
  for (const [rows, cols] of [
    [1, 3],
    [3, 7],
    [2, 130],
    [37, 20],
  ]) {
    const norm = (x: Float64Array) => normalize(x, (i) => Math.floor(i / cols), eps);
    const x = random(type, [rows, cols], 1),
      w = random('bf16', [cols], 2),
      b = random('bf16', [cols], 3);
    test(`${type} [${rows}, ${cols}]: plain, affine`, async () => {
      await checkGradients(
        { x },
        (p, t) => layerNorm(p, t.x, undefined, eps),
        (v) => norm(v.x),
        bound,
      );
      await checkGradients(
        { x, w, b },
        (p, t) => layerNorm(p, t.x, { weight: t.w, bias: t.b }, eps),
        (v) => norm(v.x).map((n, i) => n * v.w[i % cols] + v.b[i % cols]),
        bound,
      );
    });

    test(`${type} [${rows}, ${cols}]: modulated by columns of a wider tensor, twice`, async () => {
      const pitch = 4 * Math.ceil(cols / 4),
        wide = 4 * pitch,
        m = random(type, [rows + 2, wide], 4);
      const at = (i: number, first: number) => (Math.floor(i / cols) + 2) * wide + first * pitch + (i % cols);
      const modulate = (y: Float64Array, m: Float64Array, first: number) =>
        y.map((v, i) => v * (1 + m[at(i, first + 1)]) + m[at(i, first)]);
      const part = (tensor: Tensor, first: number) => ({
        tensor,
        firstRow: 2,
        shift: first * pitch,
        scale: (first + 1) * pitch,
      });
      await checkGradients(
        { x, w, b, m },
        (p, t) => {
          // An operation's result, as AdaLN's modulation is: its gradient gathers in one tensor.
          const through = scale(p, t.m, 1);
          const y = layerNorm(p, t.x, { weight: t.w, bias: t.b }, eps, part(through, 0));
          return layerNorm(p, y, undefined, eps, part(through, 2));
        },
        (v) =>
          modulate(
            norm(
              modulate(
                norm(v.x).map((n, i) => n * v.w[i % cols] + v.b[i % cols]),
                v.m,
                0,
              ),
            ),
            v.m,
            2,
          ),
        bound,
      );
    });
  }
}

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => layerNormBackward(p, tensor('f32', [2, 5], numbers(10)), eps, tensor('bf16', [2, 5], []), {}).dx,
    /layer_norm_backward: test f32\[2,5\], test bf16\[2,5\]/,
  ));

test.run();
