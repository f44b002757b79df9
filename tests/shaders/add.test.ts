import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { add } from '../../shaders/add.ts';
import { bf16, numbers, run, shapeError, tensor } from '../gpu.ts';

for (const [a, b] of [
  ['f32', 'f32'],
  ['bf16', 'bf16'],
  ['f32', 'bf16'],
] as const) {
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [130, 66],
  ]) {
    const x = numbers(rows * cols, a, 1),
      y = numbers(rows * cols, b, 2),
      round = a === 'bf16' ? bf16 : Math.fround,
      want = x.map((v, i) => round(Math.fround(v + y[i])));
    test(`${a} + ${b} [${rows}, ${cols}]`, async () => {
      assert.equal(await run((p) => add(p, tensor(a, [rows, cols], x), tensor(b, [rows, cols], y))), want);
    });
    test(`${a} += ${b} [${rows}, ${cols}]`, async () => {
      const into = tensor(a, [rows, cols], x);
      assert.equal(await run((p) => add(p, into, tensor(b, [rows, cols], y), into)), want);
    });
  }
}

test('another shape is an error that names both', () =>
  shapeError(
    (p) => add(p, tensor('f32', [2, 3], numbers(6)), tensor('f32', [2, 4], numbers(8))),
    /add: add f32\[2,3\], test f32\[2,4\]; want two of one shape/,
  ));

test.run();
