import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { layerNorm } from '../../shaders/layer_norm.ts';
import { bf16, close, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';
import { normalize } from '../reference.ts';

const eps = 1e-6;

for (const type of ['bf16', 'f32'] as const) {
  const bound = type === 'f32' ? 5e-6 : 5e-3;
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [5, 64],
    [2, 130],
    [33, 256],
    [70, 1024],
  ]) {
    test(`${type} [${rows}, ${cols}]: plain, affine, modulated`, async () => {
      const x = numbers(rows * cols, type).map((v) => (type === 'bf16' ? bf16(v + 0.5) : v + 0.5)),
        w = numbers(cols, 'bf16', 2),
        b = numbers(cols, 'bf16', 3);
      const X = () => tensor(type, [rows, cols], x),
        n = normalize(x, (i) => Math.floor(i / cols), eps);
      const affine = () => ({ weight: tensor('bf16', [cols], w), bias: tensor('bf16', [cols], b) });
      const of = async (record: Parameters<typeof run>[0]) => unpad(await run(record), cols);
      close(await of((p) => raw(layerNorm(p, X(), undefined, eps))), n, bound);
      const a = n.map((v, i) => v * w[i % cols] + b[i % cols]);
      close(await of((p) => raw(layerNorm(p, X(), affine(), eps))), a, bound);
      // Shift and scale lie in a wider tensor, from its third row on, among columns of others.
      const pitch = 4 * Math.ceil(cols / 4),
        wide = 3 * pitch,
        m = numbers((rows + 2) * wide, type, 4);
      const modulation = () => ({
        tensor: tensor(type, [rows + 2, wide], m),
        firstRow: 2,
        shift: pitch,
        scale: 2 * pitch,
      });
      const modulated = (y: Float64Array) =>
        y.map((v, i) => {
          const at = (Math.floor(i / cols) + 2) * wide + (i % cols);
          return v * (1 + m[at + 2 * pitch]) + m[at + pitch];
        });
      close(await of((p) => raw(layerNorm(p, X(), undefined, eps, modulation()))), modulated(n), bound);
      close(await of((p) => raw(layerNorm(p, X(), affine(), eps, modulation()))), modulated(a), bound);
    });
  }
}

test('weights in f32', async () => {
  const x = numbers(21),
    w = numbers(7, 'f32', 2),
    b = numbers(7, 'f32', 3),
    want = normalize(x, (i) => Math.floor(i / 7), eps).map((v, i) => v * w[i % 7] + b[i % 7]);
  close(
    await run((p) =>
      layerNorm(p, tensor('f32', [3, 7], x), { weight: tensor('f32', [7], w), bias: tensor('f32', [7], b) }, eps),
    ),
    want,
    5e-6,
  );
});

test('a row of one value gives the bias; a spread far under the mean is kept; large numbers give no NaN', async () => {
  const affine = { weight: tensor('f32', [5], [1, 2, 3, 4, 5]), bias: tensor('f32', [5], [1, -2, 0, 4, 5]) };
  for (const value of [0, 1, -3e4]) {
    assert.equal(
      [...(await run((p) => layerNorm(p, tensor('f32', [1, 5], Array(5).fill(value)), affine, eps)))],
      [1, -2, 0, 4, 5],
      `${value}`,
    );
  }
  const x = [1000, 1001, 1002, 1003, 1004];
  close(
    await run((p) => layerNorm(p, tensor('f32', [1, 5], x), undefined, eps)),
    normalize(x, () => 0, eps),
    1e-5,
  );
  // As long as the sum of a row is a number; where the squares are none, the row counts as infinitely wide.
  for (const large of [1e15, 1e18, 6e37]) {
    const got = await run((p) => layerNorm(p, tensor('f32', [1, 5], [large, -large, 0, large, large]), affine, eps));
    assert.ok(got.every(Number.isFinite), `${large}: ${got}`);
  }
});

test('no rows', async () => {
  assert.is((await run((p) => layerNorm(p, tensor('f32', [0, 5], []), undefined, eps))).length, 0);
});

test('operands that do not fit are errors that name them', async () => {
  const x = () => tensor('f32', [2, 5], numbers(10)),
    four = () => tensor('bf16', [4], numbers(4));
  await shapeError(
    (p) => layerNorm(p, x(), { weight: four(), bias: four() }, eps),
    /layer_norm: test f32\[2,5\], test bf16\[4\]/,
  );
  await shapeError(
    (p) =>
      layerNorm(p, x(), undefined, eps, {
        tensor: tensor('bf16', [2, 16], numbers(32)),
        firstRow: 0,
        shift: 0,
        scale: 8,
      }),
    /test f32\[2,5\], test bf16\[2,16\]/,
  );
  await shapeError(
    (p) =>
      layerNorm(p, x(), undefined, eps, {
        tensor: tensor('f32', [2, 16], numbers(32)),
        firstRow: 1,
        shift: 0,
        scale: 8,
      }),
    /test f32\[2,5\], test f32\[2,16\]/,
  );
});

test('rows whose variance is near eps, or under it', async () => {
  const cols = 37;
  for (const [size, eps] of [
    [1e-3, 1e-6],
    [1e-4, 1e-5],
    [0.3, 0.25],
  ]) {
    const x = numbers(3 * cols).map((v) => v * size);
    const got = await run((p) => layerNorm(p, tensor('f32', [3, cols], x), undefined, eps));
    close(
      got,
      normalize(x, (i) => Math.floor(i / cols), eps),
      5e-6,
    );
  }
});

test('a modulation with too few columns for its shift, or for its scale, is an error', async () => {
  const x = () => tensor('f32', [2, 5], numbers(10)),
    m = () => tensor('f32', [2, 16], numbers(32));
  for (const at of [
    { shift: 12, scale: 0 },
    { shift: 0, scale: 12 },
  ])
    await shapeError(
      (p) => layerNorm(p, x(), undefined, eps, { tensor: m(), firstRow: 0, ...at }),
      /test f32\[2,5\], test f32\[2,16\]; want a modulation f32\[2, 17\] or larger/,
    );
});

test.run();
