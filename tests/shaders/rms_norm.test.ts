import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rmsNorm } from '../../shaders/rms_norm.ts';
import { numbers, relativeRms, run, tensor } from '../gpu.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [5, 64],
    [2, 130],
    [70, 896],
  ]) {
    test(`${type} [${rows}, ${cols}]`, async () => {
      const x = numbers(rows * cols, type),
        w = numbers(cols, 'bf16', 2);
      const want = new Float64Array(rows * cols);
      for (let r = 0; r < rows; r++) {
        let squares = 0;
        for (let c = 0; c < cols; c++) squares += x[r * cols + c] ** 2;
        for (let c = 0; c < cols; c++) want[r * cols + c] = (x[r * cols + c] / Math.sqrt(squares / cols + 1e-6)) * w[c];
      }
      const got = await run((p) => rmsNorm(p, tensor(type, [rows, cols], x), tensor('bf16', [cols], w), 1e-6));
      assert.ok(relativeRms(got, want) < (type === 'f32' ? 1e-6 : 3e-3), `${relativeRms(got, want)}`);
    });
  }
}

test('a row of zeros stays zeros; the largest numbers give no NaN', async () => {
  const zeros = await run((p) =>
    rmsNorm(p, tensor('f32', [2, 5], new Float32Array(10)), tensor('bf16', [5], [1, 1, 1, 1, 1]), 1e-6),
  );
  assert.equal([...zeros], Array(10).fill(0));
  const large = await run((p) =>
    rmsNorm(p, tensor('bf16', [1, 5], [3e38, 1, 0, -1, 1e-38]), tensor('bf16', [5], [1, 1, 1, 1, 1]), 1e-6),
  );
  assert.ok(
    large.every((v) => !Number.isNaN(v)),
    `${large}`,
  );
});

test('more rows than a dispatch has workgroups in one dimension', async () => {
  const rows = 65535 + 700,
    x = numbers(4 * rows, 'f32'),
    got = await run((p) => rmsNorm(p, tensor('f32', [rows, 4], x), tensor('bf16', [4], [1, 1, 1, 1]), 1e-6));
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(4 * r, 4 * r + 4),
      rms = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / 4 + 1e-6);
    for (let c = 0; c < 4; c++)
      if (!(Math.abs(got[4 * r + c] - row[c] / rms) < 1e-5)) assert.is(got[4 * r + c], row[c] / rms, `row ${r}`);
  }
});

test('no rows', async () => {
  assert.is(
    (await run((p) => rmsNorm(p, tensor('f32', [0, 5], []), tensor('bf16', [5], [1, 1, 1, 1, 1]), 1e-6))).length,
    0,
  );
});

test('a weight of another width is an error that names both', async () => {
  try {
    await run((p) => rmsNorm(p, tensor('f32', [2, 5], numbers(10)), tensor('bf16', [4], numbers(4)), 1e-6));
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /rms_norm: test f32\[2,5\], test bf16\[4\]/);
  }
});

test('rows whose mean square is near eps, or under it', async () => {
  const cols = 37,
    w = numbers(cols, 'f32', 2);
  for (const [size, eps] of [
    [1e-3, 1e-6],
    [1e-4, 1e-5],
    [0.3, 0.25],
  ]) {
    const x = numbers(3 * cols).map((v) => v * size);
    const want = Float64Array.from(x, (v, i) => {
      const r = Math.floor(i / cols) * cols,
        squares = x.subarray(r, r + cols).reduce((sum, y) => sum + y * y, 0);
      return (v / Math.sqrt(squares / cols + eps)) * w[i % cols];
    });
    const got = await run((p) => rmsNorm(p, tensor('f32', [3, cols], x), tensor('f32', [cols], w), eps));
    assert.ok(relativeRms(got, want) < 1e-6, `${size}, ${eps}: ${relativeRms(got, want)}`);
  }
});

test.run();
