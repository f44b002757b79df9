import { test } from 'uvu';
import { maskTokens } from '../../shaders/mask_tokens.ts';
import { maskTokensBackward } from '../../shaders/mask_tokens_backward.ts';
import { shapeError, tensor } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [70, 5],
  ]) {
    test(`${type} [${rows}, ${cols}]`, () => {
      const mask = Array.from({ length: rows }, (_, r) => (r + 1) % 2);
      return checkGradients(
        {
          x: random(type, [rows, cols], 1),
          token: random('bf16', [1, 1, cols], 2),
          pos: random('bf16', [1, rows, cols], 3),
        },
        (p, { x, token, pos }) => maskTokens(p, x, tensor('u32', [rows], mask), token, pos),
        ({ x, token, pos }) => x.map((v, i) => (mask[Math.floor(i / cols)] ? token[i % cols] : v) + pos[i]),
        2e-6,
      );
    });
  }
}

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => maskTokensBackward(p, tensor('f32', [2, 5], []), tensor('u32', [3], [])),
    /mask_tokens_backward: test f32\[2,5\], test u32\[3\]/,
  ));

test.run();
