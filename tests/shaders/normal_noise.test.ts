import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { normalNoise } from '../../shaders/normal_noise.ts';
import { normals, philox, seedWords } from '../../shaders/random.ts';
import { device, raw, run, shapeError, tensor, unpad } from '../gpu.ts';

/** Noise [rows, cols] for a seed and a stream. */
async function noise(rows: number, cols: number, seed: number, stream: number, scale = 1): Promise<Float64Array> {
  const y = tensor('f32', [rows, cols], new Float32Array(rows * cols).fill(NaN));
  const deviation = tensor('f32', [1], [scale]);
  await run((p) => normalNoise(p, tensor('u32', [2], seedWords(seed)), stream, y, { deviation }));
  return unpad(await device.read(raw(y)), cols);
}

/** Quad i's four numbers, in f64. */
const quad = (i: number, seed: number, stream: number): number[] => normals([i, stream, 0, 0], seedWords(seed));

test('philox gives the published numbers', () => {
  // The known answers of Random123, philox4x32-10.
  assert.equal(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  assert.equal(
    philox(
      [-1, -1, -1, -1].map((v) => v >>> 0),
      [0xffffffff, 0xffffffff],
    ),
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  );
  assert.equal(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

for (const [rows, cols, seed, stream, scale] of [
  [1, 1, 0, 0, 1],
  [3, 5, 7, 1, 0.5],
  [64, 16, 2 ** 53 - 1, 0, 1],
  [1000, 18, 123456789012, 3, 2],
]) {
  test(`[${rows}, ${cols}] of seed ${seed}, stream ${stream}: Box-Muller over philox, within 2e-6`, async () => {
    const got = await noise(rows, cols, seed, stream, scale),
      rowQuads = Math.ceil(cols / 4);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const want = scale * quad(r * rowQuads + Math.floor(c / 4), seed, stream)[c % 4],
          y = got[r * cols + c];
        assert.ok(Math.abs(y - want) <= 2e-6 * scale, `[${r}, ${c}]: ${y}, want ${want}`);
      }
    }
  });
}

test('100,000 numbers have the moments of the normal distribution', async () => {
  const n = 100_000,
    got = await noise(n / 16, 16, 1, 0),
    moment = (k: number) => got.reduce((sum, v) => sum + v ** k, 0) / n;
  // Five standard errors each.
  assert.ok(Math.abs(moment(1)) < 5 / Math.sqrt(n), `mean ${moment(1)}`);
  assert.ok(Math.abs(moment(2) - 1) < 5 * Math.sqrt(2 / n), `variance ${moment(2)}`);
  assert.ok(Math.abs(moment(3)) < 5 * Math.sqrt(15 / n), `skew ${moment(3)}`);
  assert.ok(Math.abs(moment(4) - 3) < 5 * Math.sqrt(96 / n), `kurtosis ${moment(4)}`);
  assert.ok(Math.max(...got) > 3.5 && Math.min(...got) < -3.5);
  const neighbours = got.subarray(1).reduce((sum, v, i) => sum + v * got[i], 0) / n;
  assert.ok(Math.abs(neighbours) < 5 / Math.sqrt(n), `neighbours ${neighbours}`);
});

test('other seeds and streams give other, unrelated numbers; the same give the same', async () => {
  const n = 64 * 16,
    all = await Promise.all(
      [
        [1, 0],
        [1, 1],
        [2, 0],
        [1 + 2 ** 32, 0],
      ].map(([seed, stream]) => noise(64, 16, seed, stream)),
    );
  for (const [i, a] of all.entries()) {
    for (const [j, b] of all.entries()) {
      const correlation = a.reduce((sum, v, k) => sum + v * b[k], 0) / n;
      if (i !== j) assert.ok(Math.abs(correlation) < 5 / Math.sqrt(n), `${i}, ${j}: ${correlation}`);
    }
  }
  assert.equal([...(await noise(64, 16, 1, 0))], [...all[0]]);
});

test("pictures side by side: each has its own seed's noise, at every step, whoever lies beside it", async () => {
  const seeds = [5, 77, 2 ** 40 + 3];
  const [steps, positions, cols] = [4, 9, 6];
  const y = tensor('f32', [steps * seeds.length * positions, cols], []);
  const words = tensor('u32', [seeds.length, 2], seeds.flatMap(seedWords));
  await run((p) => normalNoise(p, words, 1, y, { positions }));
  const all = await device.read(y);
  for (const [i, seed] of seeds.entries()) {
    const alone = await noise(steps * positions, cols, seed, 1);
    for (let step = 0; step < steps; step++) {
      const from = (step * seeds.length + i) * positions * cols;
      const want = alone.subarray(step * positions * cols, (step + 1) * positions * cols);
      assert.equal([...all.subarray(from, from + positions * cols)], [...want], `picture ${i}, step ${step}`);
    }
  }
});

test('no rows; a y of another type is an error', async () => {
  assert.is((await noise(0, 5, 1, 0)).length, 0);
  const seed = tensor('u32', [2], [0, 0]);
  await shapeError(
    (p) => normalNoise(p, seed, 0, tensor('bf16', [1, 4], [])),
    /normal_noise: test bf16\[1,4\], test u32\[2\]/,
  );
});

test.run();
