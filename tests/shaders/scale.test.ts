import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scale } from '../../shaders/scale.ts';
import { bf16, numbers, raw, run, tensor, unpad } from '../gpu.ts';

for (const type of ['bf16', 'f32'] as const) {
  test(`${type}: each element times the factor, rounded once`, async () => {
    const round = type === 'bf16' ? bf16 : Math.fround,
      factor = Math.fround(1 / 0.2325);
    for (const [rows, cols] of [
      [0, 3],
      [1, 1],
      [3, 7],
      [64, 16],
    ]) {
      const x = numbers(rows * cols, type),
        got = await run((p) => raw(scale(p, tensor(type, [rows, cols], x), factor)));
      assert.equal(
        [...unpad(got, cols)],
        [...x].map((v) => round(Math.fround(v * factor))),
      );
    }
  });
}

test.run();
