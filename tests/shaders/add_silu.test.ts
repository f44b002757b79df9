import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addSilu } from '../../shaders/add_silu.ts';
import { close, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';
import { silu } from '../reference.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, cols, times, first, steps] of [
    [1, 1, 1, 0, 1],
    [3, 7, 9, 2, 4],
    [2, 256, 20, 19, 1],
    [5, 64, 9, 0, 5],
  ]) {
    for (const stride of [0, 1] as const) {
      test(`${type}: ${rows} rows of ${cols}, ${steps} steps from ${first} of ${times}, stride ${stride}`, async () => {
        const a = numbers(rows * cols, type).map((v) => 4 * v),
          b = numbers(times * cols, type, 2).map((v) => 4 * v),
          want: number[] = [];
        for (let s = 0; s < steps; s++) {
          for (let r = 0; r < rows; r++) {
            const time = Math.min(first + s + r * stride, times - 1);
            for (let c = 0; c < cols; c++) want.push(silu(a[r * cols + c] + b[time * cols + c]));
          }
        }
        const got = await run((p) =>
          raw(
            addSilu(
              p,
              tensor(type, [rows, cols], a),
              tensor(type, [times, cols], b),
              tensor('u32', [1], [first]),
              steps,
              stride,
            ),
          ),
        );
        close(unpad(got, cols), want, type === 'f32' ? 6e-7 : 4e-3);
      });
    }
  }
}

test('zeros and large numbers', async () => {
  const got = await run((p) =>
    addSilu(
      p,
      tensor('f32', [1, 4], [0, 1e38, -1e38, -88]),
      tensor('f32', [1, 4], [0, 1e38, -1e38, 0]),
      tensor('u32', [1], [0]),
      1,
    ),
  );
  assert.equal([...got], [0, Math.fround(2e38), 0, 0]);
});

test('no rows', async () => {
  assert.is(
    (
      await run((p) =>
        addSilu(p, tensor('f32', [0, 4], []), tensor('f32', [1, 4], numbers(4)), tensor('u32', [1], [0]), 3),
      )
    ).length,
    0,
  );
});

test('operands that do not fit are errors that name them', async () => {
  const a = () => tensor('f32', [2, 5], numbers(10)),
    first = () => tensor('u32', [1], [0]);
  await shapeError(
    (p) => addSilu(p, a(), tensor('f32', [2, 4], numbers(8)), first(), 1),
    /add_silu: test f32\[2,5\], test f32\[2,4\]/,
  );
  await shapeError(
    (p) => addSilu(p, a(), tensor('bf16', [2, 5], numbers(10)), first(), 1),
    /add_silu: test f32\[2,5\], test bf16\[2,5\]/,
  );
});

test.run();
