import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isOn } from '../../numerics/chessboard.ts';
import { chessboardScore } from '../../shaders/chessboard_score.ts';
import { numbers, run, shapeError, tensor } from '../gpu.ts';

for (const points of [1, 2, 7, 9001]) {
  for (const quadrant of [undefined, 0, 3] as const) {
    test(`${points} points, ${quadrant === undefined ? 'the whole board' : `quadrant ${quadrant}`}`, async () => {
      const quads = Math.ceil(points / 2);
      const x = numbers(4 * quads, 'f32', 2).map((v) => 2 * v);
      const wanted = numbers(4 * quads, 'f32', 3);
      x[0] = NaN; // no place is none on a cell
      const all = (values: Float32Array) => tensor('f32', [quads, 4], values);
      const sums = await run((p) => chessboardScore(p, all(x), all(wanted), points, quadrant));
      const total = (column: number) => sums.reduce((sum, v, i) => sum + (i % 4 === column ? v : 0), 0);
      const off = Array.from({ length: points }, (_, i) => !isOn(x.subarray(2 * i, 2 * i + 2), quadrant));
      assert.is(total(0), off.filter(Boolean).length);
      assert.ok(Number.isNaN(total(1)));
    });
  }
}

test('squared distances of every point, of no padding', async () => {
  const x = numbers(4 * 5001, 'f32', 2);
  const wanted = numbers(4 * 5001, 'f32', 3);
  const sums = await run((p) =>
    chessboardScore(p, tensor('f32', [5001, 4], x), tensor('f32', [5001, 4], wanted), 10001),
  );
  const got = sums.reduce((sum, v, i) => sum + (i % 4 === 1 ? v : 0), 0);
  let want = 0;
  for (let i = 0; i < 2 * 10001; i++) want += (x[i] - wanted[i]) ** 2;
  assert.ok(Math.abs(got / want - 1) < 1e-6, `${got}, want ${want}`);
});

test('operands that do not fit are errors that name them', async () => {
  const [x, y] = [tensor('f32', [2, 4], []), tensor('f32', [3, 4], [])];
  await shapeError((p) => chessboardScore(p, x, y, 4), /chessboard_score: test f32\[2,4\], test f32\[3,4\]/);
});

test.run();
