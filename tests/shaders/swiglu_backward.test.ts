import { test } from 'uvu';
import { roundUp } from '../../engine/tensor.ts';
import { swiglu } from '../../shaders/swiglu.ts';
import { swigluBackward } from '../../shaders/swiglu_backward.ts';
import { numbers, shapeError, tensor } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';
import { silu } from '../reference.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, width] of [
    [1, 1],
    [3, 7],
    [65, 4],
  ]) {
    test(`${type} [${rows}, 2 × ${width}]`, () => {
      const up = roundUp(width, 4),
        at = (i: number) => Math.floor(i / width) * 2 * up + (i % width);
      return checkGradients(
        { x: random(type, [rows, 2 * up], 1, 4) },
        (p, { x }) => swiglu(p, x, width),
        ({ x }) => Float64Array.from({ length: rows * width }, (_, i) => silu(x[at(i)]) * x[at(i) + up]),
        type === 'f32' ? 3e-6 : 8e-3,
      );
    });
  }
}

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => swigluBackward(p, tensor('f32', [2, 8], numbers(16)), tensor('f32', [2, 5], [])),
    /swiglu_backward: test f32\[2,8\], test f32\[2,5\]/,
  ));

test.run();
