import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { embedTokens, gatherRows, repeatRows } from '../../shaders/gather_rows.ts';
import { plainIndex, scatterRows } from '../../shaders/scatter_rows.ts';
import { zeros } from '../../shaders/zeros.ts';
import { device, numbers, run, shapeError, smallDevice, tensor } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';

for (const type of ['bf16', 'f32'] as const) {
  const bound = type === 'f32' ? 1e-6 : 1e-2;
  test(`gather_rows ${type}: rows used once, never, often, in two branches`, () => {
    const index = [3, 0, 3, 3, 1],
      n = 5,
      cols = 7;
    return checkGradients(
      { x: random(type, [2 * n, cols], 1) },
      (p, { x }) => gatherRows(p, x, tensor('u32', [index.length], index), 2),
      ({ x }) =>
        [0, 1].flatMap((b) => index.flatMap((i) => [...x.subarray((b * n + i) * cols, (b * n + i + 1) * cols)])),
      bound,
    );
  });

  test(`repeat_rows ${type}`, () => {
    const index = [1, 2],
      cols = 5;
    return checkGradients(
      { x: random(type, [3, cols], 1) },
      (p, { x }) => {
        const into = p.tensor('into', type, [6, cols]);
        repeatRows(p, x, tensor('u32', [2], index), 3, into);
        return into;
      },
      ({ x }) => [0, 1, 2].flatMap(() => index.flatMap((i) => [...x.subarray(i * cols, (i + 1) * cols)])),
      bound,
    );
  });

  test(`embed_tokens ${type}: two tables, one of them in pieces, positions of each branch`, async () => {
    const vocab = 13,
      cols = 6,
      capacity = 9,
      count = 4,
      position = [2, 5],
      ids = Array.from({ length: 2 * capacity }, (_, i) => ((i * 7) % 5 === 0 ? vocab + (i % 2) : (i * 5) % vocab));
    const small = await smallDevice(256);
    await checkGradients(
      { table: random(type, [vocab, cols], 1), more: random(type, [2, cols], 2) },
      (p, { table, more }) =>
        embedTokens(
          p,
          [table, more],
          {
            branches: 2,
            capacity,
            ids: tensor('u32', [2, capacity], ids, small),
            position: tensor('u32', [2], position, small),
          },
          count,
          type,
        ),
      ({ table, more }) =>
        position.flatMap((from, b) =>
          ids
            .slice(b * capacity + from, b * capacity + from + count)
            .flatMap((id) => [
              ...(id < vocab
                ? table.subarray(id * cols, (id + 1) * cols)
                : more.subarray((id - vocab) * cols, (id - vocab + 1) * cols)),
            ]),
        ),
      bound,
      small,
    );
  });
}

test('rows are added to what is there, in order, each to its place', async () => {
  const y = tensor('f32', [3, 5], numbers(15, 'f32', 2));
  const x = numbers(20);
  const index = [2, 0, 2, 2];
  await run((p) => scatterRows(p, tensor('f32', [4, 5], x), plainIndex(tensor('u32', [4], index)), y));
  const want = numbers(15, 'f32', 2);
  for (const [row, to] of index.entries()) for (let i = 0; i < 5; i++) want[5 * to + i] += x[5 * row + i];
  assert.equal([...(await device.read(y))], [...want]);
});

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) =>
      scatterRows(
        p,
        tensor('f32', [2, 5], []),
        plainIndex(tensor('u32', [2], [])),
        zeros(p, tensor('f32', [3, 4], [])),
      ),
    /scatter_rows: test f32\[2,5\], test f32\[3,4\]/,
  ));

test.run();
