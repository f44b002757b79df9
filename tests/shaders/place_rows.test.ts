import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { placeRows } from '../../shaders/place_rows.ts';
import { device, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';

for (const d of [1, 5, 16]) {
  test(`rows of ${d} take their places, the mask tells; all else stays`, async () => {
    const x = numbers(4 * d),
      before = numbers(9 * d, 'f32', 2),
      index = [7, 0, 3],
      want = [...before];
    for (const [r, to] of index.entries()) want.splice(to * d, d, ...x.subarray(r * d, (r + 1) * d));
    const y = tensor('f32', [9, d], before),
      mask = tensor('u32', [9], [1, 1, 1, 0, 1, 0, 1, 1, 1]);
    await run((p) => placeRows(p, tensor('f32', [4, d], x), tensor('u32', [3], index), y, mask));
    assert.equal([...unpad(await device.read(raw(y)), d)], want);
    assert.equal([...(await device.read(mask))], [0, 1, 1, 0, 1, 0, 1, 0, 1]);
  });
}

test('no rows', async () => {
  const y = tensor('f32', [2, 3], numbers(6)),
    mask = tensor('u32', [2], [1, 1]);
  await run((p) => placeRows(p, tensor('f32', [0, 3], []), tensor('u32', [0], []), y, mask));
  assert.equal([...(await device.read(y))], [...numbers(6)]);
  assert.equal([...(await device.read(mask))], [1, 1]);
});

test('operands that do not fit are errors that name them', async () => {
  const x = (rows: number, cols: number) => tensor('f32', [rows, cols], numbers(rows * cols)),
    mask = tensor('u32', [4], []);
  await shapeError(
    (p) => placeRows(p, x(2, 3), tensor('u32', [2], [0, 1]), x(4, 4), mask),
    /place_rows: test f32\[2,3\], test u32\[2\], test f32\[4,4\]/,
  );
  await shapeError(
    (p) => placeRows(p, x(1, 3), tensor('u32', [2], [0, 1]), x(4, 3), mask),
    /place_rows: test f32\[1,3\], test u32\[2\]/,
  );
});

test('more rows than one workgroup has threads for', async () => {
  const d = 16,
    rows = 50,
    index = Array.from({ length: rows }, (_, i) => (i * 7) % 64),
    x = numbers(rows * d),
    want = new Float32Array(64 * d);
  for (const [r, to] of index.entries()) want.set(x.subarray(r * d, (r + 1) * d), to * d);
  const y = tensor('f32', [64, d], []),
    mask = tensor('u32', [64], Array(64).fill(1));
  await run((p) => placeRows(p, tensor('f32', [rows, d], x), tensor('u32', [rows], index), y, mask));
  assert.equal([...(await device.read(y))], [...want]);
  const known = new Set(index);
  assert.equal(
    [...(await device.read(mask))],
    Array.from({ length: 64 }, (_, i) => Number(!known.has(i))),
  );
});

test.run();
