import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { transpose } from '../../shaders/transpose.ts';
import { numbers, raw, run, tensor, unpad } from '../gpu.ts';

for (const type of ['bf16', 'f32'] as const)
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [4, 4],
    [130, 66],
    [1, 300],
  ])
    test(`${type} [${rows}, ${cols}], its padding zeros`, async () => {
      const x = numbers(rows * cols, type);
      const want = Float64Array.from({ length: rows * cols }, (_, i) => x[(i % rows) * cols + Math.floor(i / rows)]);
      const got = await run((p) => raw(transpose(p, tensor(type, [rows, cols], x))));
      assert.equal(unpad(got, rows), want);
    });

test.run();
