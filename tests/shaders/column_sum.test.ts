import { test } from 'uvu';
import { columnSum } from '../../shaders/column_sum.ts';
import { plainIndex } from '../../shaders/scatter_rows.ts';
import { close, device, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [32, 5],
    [33, 130],
    [500, 12],
  ]) {
    test(`${type} [${rows}, ${cols}]: all rows, chosen rows, some columns, added to what is there`, async () => {
      const x = numbers(rows * cols, type),
        X = tensor(type, [rows, cols], x),
        mask = Array.from({ length: rows }, (_, r) => (r % 3 ? 7 : 1));
      const sum = (of: (r: number) => boolean, first = 0, count = cols) =>
        Float64Array.from({ length: count }, (_, c) => {
          let s = 0;
          for (let r = 0; r < rows; r++) if (of(r)) s += x[r * cols + first + c];
          return s;
        });
      const bound = 2e-6;
      close(
        unpad(await run((p) => raw(columnSum(p, X))), cols),
        sum(() => true),
        bound,
      );
      const where = { index: plainIndex(tensor('u32', [rows], mask)), equals: 7 };
      close(
        await run((p) => columnSum(p, X, { where })),
        sum((r) => r % 3 > 0),
        bound,
      );
      if (cols > 4)
        close(
          await run((p) => columnSum(p, X, { columns: { first: 4, count: cols - 4 } })),
          sum(() => true, 4, cols - 4),
          bound,
        );
      const into = tensor('f32', [cols], new Float32Array(cols).fill(100));
      await run((p) => columnSum(p, X, { into }));
      close(
        await device.read(into),
        sum(() => true).map((v) => v + 100),
        bound,
      );
    });
  }
}

test('rows of a period apart: the same of each picture', async () => {
  for (const [pictures, period, cols] of [
    [1, 3, 5],
    [2, 7, 6],
    [40, 2, 3],
  ]) {
    const x = numbers(pictures * period * cols);
    const want = new Float64Array(period * cols);
    x.forEach((v, i) => {
      want[i % want.length] += v;
    });
    close(await run((p) => columnSum(p, tensor('f32', [pictures * period, cols], x), { period })), want, 2e-6);
  }
});

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => columnSum(p, tensor('f32', [2, 5], []), { into: tensor('bf16', [5], []) }),
    /column_sum: test f32\[2,5\], test bf16\[5\]; want a sum f32\[5\]/,
  ));

test.run();
