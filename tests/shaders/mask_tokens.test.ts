import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { maskTokens } from '../../shaders/mask_tokens.ts';
import { close, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, cols] of [
    [1, 1],
    [4, 7],
    [64, 192],
  ]) {
    test(`${type} [${rows}, ${cols}]`, async () => {
      const x = numbers(rows * cols, type),
        token = numbers(cols, 'bf16', 2),
        position = numbers(rows * cols, 'bf16', 3);
      const mask = Uint32Array.from({ length: rows }, (_, r) => (r % 3 === 0 ? 1 : 0));
      const want = x.map((v, i) => (mask[Math.floor(i / cols)] ? token[i % cols] : v) + position[i]);
      const got = await run((p) =>
        raw(
          maskTokens(
            p,
            tensor(type, [rows, cols], x),
            tensor('u32', [rows], mask),
            tensor('bf16', [cols], token),
            tensor('bf16', [rows, cols], position),
          ),
        ),
      );
      close(unpad(got, cols), want, type === 'f32' ? 1e-7 : 4e-3);
    });
  }
}

test('pictures below each other share the positions', async () => {
  const [positions, cols] = [5, 6];
  const x = numbers(3 * positions * cols);
  const position = numbers(positions * cols, 'f32', 3);
  const want = x.map((v, i) => v + position[i % (positions * cols)]);
  const mask = tensor('u32', [3 * positions], new Uint32Array(3 * positions));
  const got = await run((p) =>
    raw(
      maskTokens(
        p,
        tensor('f32', [3 * positions, cols], x),
        mask,
        tensor('f32', [cols], numbers(cols)),
        tensor('f32', [positions, cols], position),
      ),
    ),
  );
  close(unpad(got, cols), want, 1e-7);
});

test('what is hidden is not looked at', async () => {
  const got = await run((p) =>
    maskTokens(
      p,
      tensor('f32', [2, 4], [NaN, Infinity, NaN, NaN, 1, 2, 3, 4]),
      tensor('u32', [2], [1, 0]),
      tensor('f32', [4], [5, 6, 7, 8]),
      tensor('f32', [2, 4], Array(8).fill(10)),
    ),
  );
  assert.equal([...got], [15, 16, 17, 18, 11, 12, 13, 14]);
});

test('no rows', async () => {
  assert.is(
    (
      await run((p) =>
        maskTokens(
          p,
          tensor('f32', [0, 4], []),
          tensor('u32', [0], []),
          tensor('f32', [4], numbers(4)),
          tensor('f32', [0, 4], []),
        ),
      )
    ).length,
    0,
  );
});

test('operands that do not fit are errors that name them', async () => {
  const x = () => tensor('f32', [2, 4], numbers(8)),
    token = () => tensor('f32', [4], numbers(4));
  await shapeError(
    (p) => maskTokens(p, x(), tensor('u32', [3], [0, 0, 0]), token(), x()),
    /mask_tokens: test f32\[2,4\], test f32\[2,4\], test u32\[3\]/,
  );
  await shapeError(
    (p) => maskTokens(p, x(), tensor('u32', [2], [0, 0]), token(), tensor('f32', [3, 4], numbers(12))),
    /mask_tokens: test f32\[2,4\], test f32\[3,4\]/,
  );
});

test.run();
