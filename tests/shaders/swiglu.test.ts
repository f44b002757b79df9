import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { roundUp } from '../../engine/tensor.ts';
import { swiglu } from '../../shaders/swiglu.ts';
import { close, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';
import { silu } from '../reference.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, width] of [
    [1, 1],
    [3, 7],
    [2, 512],
    [5, 66],
  ]) {
    test(`${type} [${rows}, 2 × ${width}]`, async () => {
      const up = roundUp(width, 4),
        x = numbers(rows * 2 * up, type).map((v, i) => (i % up < width ? 4 * v : 0));
      const want = Float64Array.from({ length: rows * width }, (_, i) => {
        const at = Math.floor(i / width) * 2 * up + (i % width);
        return silu(x[at]) * x[at + up];
      });
      const got = await run((p) => raw(swiglu(p, tensor(type, [rows, 2 * up], x), width)));
      close(unpad(got, width), want, type === 'f32' ? 5e-7 : 4e-3);
    });
  }
}

test('zeros and large numbers', async () => {
  const got = await run((p) => swiglu(p, tensor('f32', [1, 8], [0, -3e38, 3e38, -100, 5, 3e38, 1, 3e38]), 4));
  assert.equal([...got], [0, 0, Math.fround(3e38), 0]);
});

test('no rows', async () => {
  assert.is((await run((p) => swiglu(p, tensor('f32', [0, 8], []), 4))).length, 0);
});

test('another width is an error that names x', async () => {
  await shapeError(
    (p) => swiglu(p, tensor('f32', [2, 12], numbers(24)), 4),
    /swiglu: test f32\[2,12\]; want x \[rows, 8\]/,
  );
});

test.run();
