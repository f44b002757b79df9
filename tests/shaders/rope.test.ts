import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { round_up } from '../../engine/tensor.ts';
import { rope } from '../../shaders/rope.ts';
import { close, device, numbers, run, shape_error, tensor } from '../gpu.ts';

const capacity = 40;

for (const type of ['bf16', 'f32'] as const) {
  for (const [heads, kv_heads, head_dim] of [[1, 1, 2], [3, 1, 6], [4, 2, 22], [6, 2, 32], [14, 2, 64]]) {
    for (const [positions, first, branches, count] of [[[0], 0, 1, 1], [[0, 17, 5], 1, 2, 3], [[2, 39, 30], 0, 3, 1]] as [number[], number, number, number][]) {
      test(`${type}, heads ${heads} over ${kv_heads} of ${head_dim}, ${count} tokens at ${positions} from branch ${first} on`, async () => {
        const d = round_up(head_dim, 4), rows = branches * count, cols = (heads + 2 * kv_heads) * d, width = kv_heads * d;
        const qkv = numbers(rows * cols, type).map((v, i) => (i % d < head_dim ? v : 0));
        const frequency = Float32Array.from({ length: head_dim / 2 }, (_, i) => 1e6 ** ((-2 * i) / head_dim));
        const rotated = (row: number, head: number, at: number) => Array.from({ length: d }, (_, e) => {
          const half = head_dim / 2, from = row * cols + head * d, angle = at * frequency[e % half];
          if (e >= head_dim) return 0;
          return e < half ? qkv[from + e] * Math.cos(angle) - qkv[from + e + half] * Math.sin(angle) : qkv[from + e] * Math.cos(angle) + qkv[from + e - half] * Math.sin(angle);
        });
        const before_k = numbers(positions.length * capacity * width, type, 2), before_v = numbers(positions.length * capacity * width, type, 3);
        const want_q: number[] = [], want_k = [...before_k], want_v = [...before_v];
        for (let row = 0; row < rows; row++) {
          const b = first + Math.floor(row / count), at = positions[b] + (row % count), to = (b * capacity + at) * width;
          for (let h = 0; h < heads; h++) want_q.push(...rotated(row, h, at));
          for (let h = 0; h < kv_heads; h++) want_k.splice(to + h * d, d, ...rotated(row, heads + h, at));
          want_v.splice(to, width, ...qkv.subarray(row * cols + (heads + kv_heads) * d, (row + 1) * cols));
        }
        const cache = { k: tensor(type, [positions.length * capacity, width], before_k), v: tensor(type, [positions.length * capacity, width], before_v) };
        const ids = tensor('u32', [positions.length, capacity], []), seq = { branches, first, capacity, ids, position: tensor('u32', [positions.length], positions) };
        const q = await run((p) => rope(p, tensor(type, [rows, cols], qkv), tensor('f32', [head_dim / 2], frequency), cache, seq, { heads, kv_heads, head_dim }));
        const bound = type === 'f32' ? 4e-6 : 5e-3;
        close(q, want_q, bound);
        close(await device.read(cache.k), want_k, bound);
        assert.equal([...(await device.read(cache.v))], want_v);
      });
    }
  }
}

test('far positions: angles up to the length of a long text', async () => {
  const position = 32767, x = numbers(12), seq = { branches: 1, capacity: 1, ids: tensor('u32', [1, 1], []), position: tensor('u32', [1], [position]) };
  const cache = { k: tensor('f32', [position + 1, 4], []), v: tensor('f32', [position + 1, 4], []) };
  const q = await run((p) => rope(p, tensor('f32', [1, 12], x), tensor('f32', [2], [1, 1e-3]), cache, seq, { heads: 1, kv_heads: 1, head_dim: 4 }));
  const angles = [position, position * Math.fround(1e-3)], [c, s] = [angles.map(Math.cos), angles.map(Math.sin)];
  close(q, [x[0] * c[0] - x[2] * s[0], x[1] * c[1] - x[3] * s[1], x[2] * c[0] + x[0] * s[0], x[3] * c[1] + x[1] * s[1]], 4e-6);
});

test('operands that do not fit are errors that name them', async () => {
  const seq = { branches: 2, capacity: 4, ids: tensor('u32', [2, 4], []), position: tensor('u32', [2], [0, 0]) };
  const cache = { k: tensor('f32', [8, 4], []), v: tensor('f32', [8, 4], []) }, heads = { heads: 1, kv_heads: 1, head_dim: 4 };
  const qkv = (rows: number, cols: number) => tensor('f32', [rows, cols], numbers(rows * cols)), frequency = (n: number) => tensor('f32', [n], numbers(n));
  await shape_error((p) => rope(p, qkv(2, 16), frequency(2), cache, seq, heads), /rope: test f32\[2,16\]; want qkv \[2 × count, 12\]/);
  await shape_error((p) => rope(p, qkv(3, 12), frequency(2), cache, seq, heads), /rope: test f32\[3,12\]/);
  await shape_error((p) => rope(p, qkv(2, 12), frequency(3), cache, seq, heads), /rope: test f32\[2,12\], test f32\[3\]/);
  await shape_error((p) => rope(p, qkv(2, 12), frequency(2), { ...cache, v: tensor('bf16', [8, 4], []) }, seq, heads), /rope: test f32\[2,12\], test f32\[8,4\], test bf16\[8,4\]/);
  await shape_error((p) => rope(p, qkv(2, 12), frequency(2), { ...cache, k: tensor('f32', [7, 4], []) }, seq, heads), /rope: test f32\[2,12\], test f32\[7,4\], test f32\[8,4\]/);
});

test.run();
