import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { roundUp } from '../../engine/tensor.ts';
import { rope } from '../../shaders/rope.ts';
import { close, device, numbers, run, shapeError, tensor } from '../gpu.ts';

const capacity = 40;

for (const type of ['bf16', 'f32'] as const) {
  for (const [heads, kvHeads, headDim] of [
    [1, 1, 2],
    [3, 1, 6],
    [4, 2, 22],
    [6, 2, 32],
    [14, 2, 64],
  ]) {
    for (const [positions, first, branches, count] of [
      [[0], 0, 1, 1],
      [[0, 17, 5], 1, 2, 3],
      [[2, 39, 30], 0, 3, 1],
    ] as [number[], number, number, number][]) {
      test(`${type}, heads ${heads} over ${kvHeads} of ${headDim}, ${count} tokens at ${positions} from branch ${first} on`, async () => {
        const d = roundUp(headDim, 4),
          rows = branches * count,
          cols = (heads + 2 * kvHeads) * d,
          width = kvHeads * d;
        const qkv = numbers(rows * cols, type).map((v, i) => (i % d < headDim ? v : 0));
        const frequency = Float32Array.from({ length: headDim / 2 }, (_, i) => 1e6 ** ((-2 * i) / headDim));
        const rotated = (row: number, head: number, at: number) =>
          Array.from({ length: d }, (_, e) => {
            const half = headDim / 2,
              from = row * cols + head * d,
              angle = at * frequency[e % half];
            if (e >= headDim) return 0;
            return e < half
              ? qkv[from + e] * Math.cos(angle) - qkv[from + e + half] * Math.sin(angle)
              : qkv[from + e] * Math.cos(angle) + qkv[from + e - half] * Math.sin(angle);
          });
        const beforeK = numbers(positions.length * capacity * width, type, 2),
          beforeV = numbers(positions.length * capacity * width, type, 3);
        const wantQ: number[] = [],
          wantK = [...beforeK],
          wantV = [...beforeV];
        for (let row = 0; row < rows; row++) {
          const b = first + Math.floor(row / count),
            at = positions[b] + (row % count),
            to = (b * capacity + at) * width;
          for (let h = 0; h < heads; h++) wantQ.push(...rotated(row, h, at));
          for (let h = 0; h < kvHeads; h++) wantK.splice(to + h * d, d, ...rotated(row, heads + h, at));
          wantV.splice(to, width, ...qkv.subarray(row * cols + (heads + kvHeads) * d, (row + 1) * cols));
        }
        const cache = {
          k: tensor(type, [positions.length * capacity, width], beforeK),
          v: tensor(type, [positions.length * capacity, width], beforeV),
        };
        const ids = tensor('u32', [positions.length, capacity], []),
          seq = { branches, first, capacity, ids, position: tensor('u32', [positions.length], positions) };
        const q = await run((p) =>
          rope(p, tensor(type, [rows, cols], qkv), tensor('f32', [headDim / 2], frequency), cache, seq, {
            heads,
            kvHeads,
            headDim,
          }),
        );
        const bound = type === 'f32' ? 4e-6 : 5e-3;
        close(q, wantQ, bound);
        close(await device.read(cache.k), wantK, bound);
        assert.equal([...(await device.read(cache.v))], wantV);
      });
    }
  }
}

test('far positions: angles up to the length of a long text', async () => {
  const position = 32767,
    x = numbers(12),
    seq = { branches: 1, capacity: 1, ids: tensor('u32', [1, 1], []), position: tensor('u32', [1], [position]) };
  const cache = { k: tensor('f32', [position + 1, 4], []), v: tensor('f32', [position + 1, 4], []) };
  const q = await run((p) =>
    rope(p, tensor('f32', [1, 12], x), tensor('f32', [2], [1, 1e-3]), cache, seq, { heads: 1, kvHeads: 1, headDim: 4 }),
  );
  const angles = [position, position * Math.fround(1e-3)],
    [c, s] = [angles.map(Math.cos), angles.map(Math.sin)];
  close(
    q,
    [x[0] * c[0] - x[2] * s[0], x[1] * c[1] - x[3] * s[1], x[2] * c[0] + x[0] * s[0], x[3] * c[1] + x[1] * s[1]],
    4e-6,
  );
});

test('operands that do not fit are errors that name them', async () => {
  const seq = { branches: 2, capacity: 4, ids: tensor('u32', [2, 4], []), position: tensor('u32', [2], [0, 0]) };
  const cache = { k: tensor('f32', [8, 4], []), v: tensor('f32', [8, 4], []) },
    heads = { heads: 1, kvHeads: 1, headDim: 4 };
  const qkv = (rows: number, cols: number) => tensor('f32', [rows, cols], numbers(rows * cols)),
    frequency = (n: number) => tensor('f32', [n], numbers(n));
  await shapeError(
    (p) => rope(p, qkv(2, 16), frequency(2), cache, seq, heads),
    /rope: test f32\[2,16\]; want qkv \[2 × count, 12\]/,
  );
  await shapeError((p) => rope(p, qkv(3, 12), frequency(2), cache, seq, heads), /rope: test f32\[3,12\]/);
  await shapeError(
    (p) => rope(p, qkv(2, 12), frequency(3), cache, seq, heads),
    /rope: test f32\[2,12\], test f32\[3\]/,
  );
  await shapeError(
    (p) => rope(p, qkv(2, 12), frequency(2), { ...cache, v: tensor('bf16', [8, 4], []) }, seq, heads),
    /rope: test f32\[2,12\], test f32\[8,4\], test bf16\[8,4\]/,
  );
  await shapeError(
    (p) => rope(p, qkv(2, 12), frequency(2), { ...cache, k: tensor('f32', [7, 4], []) }, seq, heads),
    /rope: test f32\[2,12\], test f32\[7,4\], test f32\[8,4\]/,
  );
});

test.run();
