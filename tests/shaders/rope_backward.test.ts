import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ropeBackward } from '../../shaders/rope_backward.ts';
import { close, device, numbers, run, shapeError, tensor } from '../gpu.ts';

for (const [type, heads, kvHeads, headDim] of [
  ['f32', 1, 1, 4],
  ['f32', 3, 1, 8],
  ['bf16', 4, 2, 24],
] as const)
  test(`${type}, heads ${heads} over ${kvHeads} of ${headDim}: turned back by each angle, in two branches of three`, async () => {
    const [capacity, first, branches, count, positions] = [9, 1, 2, 3, [4, 0, 5]];
    const rows = branches * count,
      width = kvHeads * headDim,
      half = headDim / 2;
    const frequency = Float32Array.from({ length: half }, (_, i) => 10 ** -i);
    const dq = numbers(rows * heads * headDim, type, 1),
      [dk, dv] = [2, 3].map((seed) => numbers(3 * capacity * width, 'f32', seed));
    const back = (of: ArrayLike<number>, begin: number, at: number): number[] =>
      Array.from({ length: headDim }, (_, e) => {
        const i = e % half,
          [a, b] = [of[begin + i], of[begin + i + half]],
          angle = at * frequency[i];
        return e < half ? a * Math.cos(angle) + b * Math.sin(angle) : b * Math.cos(angle) - a * Math.sin(angle);
      });
    const want: number[] = [],
      [leftK, leftV] = [[...dk], [...dv]];
    for (let row = 0; row < rows; row++) {
      const b = first + Math.floor(row / count),
        at = positions[b] + (row % count),
        cached = (b * capacity + at) * width;
      for (let h = 0; h < heads; h++) want.push(...back(dq, (row * heads + h) * headDim, at));
      for (let h = 0; h < kvHeads; h++) want.push(...back(dk, cached + h * headDim, at));
      want.push(...dv.slice(cached, cached + width));
      for (const left of [leftK, leftV]) left.fill(0, cached, cached + width);
    }
    const cache = { k: tensor('f32', [3 * capacity, width], dk), v: tensor('f32', [3 * capacity, width], dv) };
    const seq = {
      branches,
      first,
      capacity,
      ids: tensor('u32', [3, capacity], []),
      position: tensor('u32', [3], positions),
    };
    const qkv = tensor(type, [rows, (heads + 2 * kvHeads) * headDim], []);
    const gradient = tensor(type, [rows, heads * headDim], dq);
    const of = { heads, kvHeads, headDim };
    const got = await run((p) => ropeBackward(p, qkv, tensor('f32', [half], frequency), gradient, cache, seq, of));
    close(got, want, type === 'f32' ? 4e-6 : 5e-3);
    assert.equal([...(await device.read(cache.k))], leftK, 'the rows of these tokens are used up');
    assert.equal([...(await device.read(cache.v))], leftV);
  });

test('operands that do not fit are errors that name them', () => {
  const seq = { branches: 1, capacity: 4, ids: tensor('u32', [1, 4], []), position: tensor('u32', [1], [0]) };
  const [cache, of] = [tensor('f32', [4, 4], []), { heads: 1, kvHeads: 1, headDim: 4 }];
  return shapeError(
    (p) =>
      ropeBackward(p, tensor('f32', [2, 16], []), tensor('f32', [2], []), undefined, { k: cache, v: cache }, seq, of),
    /rope_backward: test f32\[2,16\]/,
  );
});

test.run();
