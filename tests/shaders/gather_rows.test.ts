import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../engine/device.ts';
import { embedTokens, gatherRows, repeatRows } from '../../shaders/gather_rows.ts';
import type { Sequences } from '../../shaders/sequences.ts';
import { bf16, device, numbers, raw, run, shapeError, smallDevice, tensor, unpad } from '../gpu.ts';

const capacity = 9,
  vocab = 50;
const ids = Uint32Array.from({ length: 3 * capacity }, (_, i) => (i * 37 + 11) % vocab),
  positions = [0, 6, 3];

/** The last two of three branches, at positions 6 and 3. */
const sequences = (on: Device): Sequences => ({
  branches: 2,
  first: 1,
  capacity,
  position: tensor('u32', [3], positions, on),
  ids: tensor('u32', [3, capacity], ids, on),
});

function embedded(table: Float32Array, cols: number, count: number): number[] {
  return [1, 2].flatMap((b) =>
    Array.from({ length: count }, (_, i) => [
      ...table.subarray(ids[b * capacity + positions[b] + i] * cols).subarray(0, cols),
    ]).flat(),
  );
}

for (const type of ['bf16', 'f32'] as const) {
  for (const yType of ['bf16', 'f32'] as const) {
    test(`embed_tokens: a table ${type}, whole and in pieces, as ${yType}`, async () => {
      for (const [cols, maxBinding] of [
        [6, Infinity],
        [64, Infinity],
        [6, 512],
        [7, 224],
        [64, 2048],
      ]) {
        const on = maxBinding === Infinity ? device : await smallDevice(maxBinding),
          values = numbers(vocab * cols, type),
          table = tensor(type, [vocab, cols], values, on);
        assert.is(table.pieces.length > 1, maxBinding !== Infinity);
        for (const count of [1, 3]) {
          const got = await run((p) => raw(embedTokens(p, [table], sequences(on), count, yType)), on);
          assert.equal([...unpad(got, cols)], embedded(values, cols, count).map(yType === 'bf16' ? bf16 : (v) => v));
        }
        if (on !== device) on.destroy();
      }
    });
  }

  test(`gather_rows and repeat_rows, ${type}`, async () => {
    const index = [4, 0, 4, 2];
    for (const cols of [1, 6, 64]) {
      const x = numbers(10 * cols, type),
        row = (r: number) => [...x.subarray(r * cols, (r + 1) * cols)];
      const one = await run((p) => raw(gatherRows(p, tensor(type, [10, cols], x), tensor('u32', [4], index))));
      assert.equal([...unpad(one, cols)], index.flatMap(row));
      const two = await run((p) => raw(gatherRows(p, tensor(type, [10, cols], x), tensor('u32', [4], index), 2)));
      assert.equal([...unpad(two, cols)], [...index.flatMap(row), ...index.flatMap((r) => row(r + 5))]);
      const repeated = await run((p) => {
        const into = p.tensor('into', type, [12, cols]);
        repeatRows(p, tensor(type, [10, cols], x), tensor('u32', [4], index), 3, into);
        return raw(into);
      });
      assert.equal(
        [...unpad(repeated, cols)],
        [0, 1, 2].flatMap(() => index.flatMap(row)),
      );
    }
  });
}

test('tables one below the other are one table', async () => {
  const values = numbers(vocab * 6),
    split = 6 * (vocab - 2);
  const got = await run((p) => {
    const tables = [
      tensor('f32', [vocab - 2, 6], values.subarray(0, split)),
      tensor('f32', [2, 6], values.subarray(split)),
    ];
    return embedTokens(p, tables, sequences(device), 3, 'f32');
  });
  assert.equal([...got], [...embedded(values, 6, 3)]);
  await shapeError(
    (p) => embedTokens(p, [tensor('f32', [5, 3], []), tensor('f32', [2, 4], [])], sequences(device), 1, 'f32'),
    /embed_tokens: test f32\[5,3\], test f32\[2,4\]; want tables \[rows, 3\]/,
  );
});

test('no rows, no index', async () => {
  assert.is((await run((p) => gatherRows(p, tensor('f32', [5, 3], numbers(15)), tensor('u32', [0], [])))).length, 0);
  assert.is(
    (await run((p) => embedTokens(p, [tensor('f32', [vocab, 3], numbers(150))], sequences(device), 0, 'f32'))).length,
    0,
  );
});

test('operands that do not fit are errors that name them', async () => {
  const x = () => tensor('f32', [5, 3], numbers(15));
  await shapeError(
    (p) => gatherRows(p, x(), tensor('f32', [2], [0, 1])),
    /gather_rows: test f32\[5,3\], test f32\[2\]/,
  );
  await shapeError(
    (p) => gatherRows(p, x(), tensor('u32', [2], [0, 1]), 2),
    /gather_rows: test f32\[5,3\], test u32\[2\]/,
  );
  await shapeError((p) => {
    repeatRows(p, x(), tensor('u32', [2], [0, 1]), 2, tensor('f32', [5, 3], []));
  }, /repeat_rows: test f32\[5,3\], test u32\[2\], test f32\[5,3\]; want index u32\[m\], into \[2 × m, 3\]/);
});

test.run();
