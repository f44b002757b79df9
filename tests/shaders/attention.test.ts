import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ElementType } from '../../engine/tensor.ts';
import { roundUp } from '../../engine/tensor.ts';
import { Tuning } from '../../engine/tuning.ts';
import { gqa, selfAttention } from '../../shaders/attention.ts';
import { bf16, close, device, numbers, run, shapeError, tensor } from '../gpu.ts';
import { attention } from '../reference.ts';

const bound = (type: ElementType): number => (type === 'f32' ? 5e-6 : 4e-3);

/** Random rows of heads, each padded with zeros to whole quads, `size` large. */
function headsOf(
  type: ElementType,
  rows: number,
  heads: number,
  headDim: number,
  seed: number,
  size = 1,
): Float32Array {
  const d = roundUp(headDim, 4),
    round = type === 'bf16' ? bf16 : Math.fround;
  return numbers(rows * heads * d, type, seed).map((v, i) => (i % d < headDim ? round(size * v) : 0));
}

for (const type of ['bf16', 'f32'] as const) {
  // Narrow heads with some queries run in attention.wgsl, few queries and wide heads in attention_row.wgsl.
  // Each width is a pipeline, which a software adapter compiles for seconds: the widest in bf16 alone.
  const shapes = [
    [7, 1, 6],
    [4, 2, 22],
    [6, 2, 32],
    [14, 2, 64],
    [2, 1, 130],
  ].slice(0, type === 'bf16' ? 5 : 2);
  for (const [heads, kvHeads, headDim] of shapes) {
    test(`gqa ${type}: heads ${heads} over ${kvHeads} of ${headDim}, two of three branches`, async () => {
      const d = roundUp(headDim, 4),
        positions = [5, 0, 31],
        first = 1,
        capacity = 100,
        width = kvHeads * d;
      for (const count of [1, 2, 3, 5, 17, 64]) {
        const q = headsOf(type, 2 * count, heads, headDim, 1, 6),
          k = headsOf(type, 3 * capacity, kvHeads, headDim, 2),
          v = headsOf(type, 3 * capacity, kvHeads, headDim, 3);
        // Keys and values that no query sees are NaN: one that is looked at spoils the result.
        positions.forEach((past, b) => {
          for (const t of [k, v])
            t.fill(NaN, (b * capacity + past + (b < first ? 0 : count)) * width, (b + 1) * capacity * width);
        });
        const cache = { k: tensor(type, [3 * capacity, width], k), v: tensor(type, [3 * capacity, width], v) };
        const seq = {
          branches: 2,
          first,
          capacity,
          ids: tensor('u32', [3, capacity], []),
          position: tensor('u32', [3], positions),
        };
        for (const causal of [true, false]) {
          const want = [0, 1].flatMap((i) => {
            const of = (t: Float32Array) => t.subarray((i + first) * capacity * width),
              queries = q.subarray(i * count * heads * d);
            return [
              ...attention(queries, of(k), of(v), {
                heads,
                kvHeads,
                headDim,
                count,
                past: positions[i + first],
                causal,
              }),
            ];
          });
          close(
            await run((p) =>
              gqa(p, tensor(type, [2 * count, heads * d], q), cache, seq, { heads, kvHeads, headDim }, causal),
            ),
            want,
            bound(type),
          );
        }
      }
    });
  }

  for (const [rows, heads, headDim] of [
    [1, 1, 6],
    [3, 2, 22],
    [5, 3, 6],
    [65, 2, 22],
    ...(type === 'bf16'
      ? [
          [64, 6, 32],
          [65, 1, 130],
        ]
      : []),
  ]) {
    test(`self_attention ${type}: [${rows}, 3 × ${heads} × ${headDim}]`, async () => {
      const d = roundUp(headDim, 4),
        qkv = headsOf(type, rows, 3 * heads, headDim, 1, 2);
      const part = (n: number) => qkv.filter((_, i) => Math.floor((i % (3 * heads * d)) / (heads * d)) === n);
      const want = attention(part(0), part(1), part(2), {
        heads,
        kvHeads: heads,
        headDim,
        count: rows,
        past: 0,
        causal: false,
      });
      close(
        await run((p) => selfAttention(p, tensor(type, [rows, 3 * heads * d], qkv), heads, headDim)),
        want,
        bound(type),
      );
    });
  }
}

test('all that software may choose give the same bits, queries past the last workgroup too', async () => {
  const [rows, heads, headDim] = [67, 16, 22],
    qkv = headsOf('bf16', rows, 3 * heads, headDim, 1, 2),
    variants = ['query', 'query_4', 'query_32', ...(device.subgroupSize < 8 ? [] : ['query_x8', 'query_x4'])];
  const chosen = device.tuning,
    all: Float32Array[] = [];
  for (const variant of variants) {
    device.tuning = new Tuning(`self_attention:${variant},attention:${variant}`);
    all.push(
      await run((p) => {
        const y = selfAttention(p, tensor('bf16', [rows, qkv.length / rows], qkv), heads, headDim);
        assert.is(p.dispatches[0].variant, variant);
        return y;
      }),
    );
  }
  device.tuning = chosen;
  for (const [i, got] of all.entries()) assert.equal([...got], [...all[0]], variants[i]);
});

for (const rows of [2, 9]) {
  test(`${rows} rows: one key far above the others takes all, whatever the scores; large numbers give no NaN`, async () => {
    const dim = 4,
      of = (q: number, k: (row: number) => number, v: (row: number) => number) =>
        Float32Array.from(
          { length: rows * 12 },
          (_, i) => [q, k(Math.floor(i / 12)), v(Math.floor(i / 12))][Math.floor((i % 12) / 4)],
        );
    const attend = (qkv: Float32Array) => run((p) => selfAttention(p, tensor('f32', [rows, 12], qkv), 1, dim));
    for (const size of [1e3, 1e10, 1e18, 1e19]) {
      for (const sign of [1, -1]) {
        const got = await attend(
          of(
            size,
            (row) => sign * row * size,
            (row) => row + 1,
          ),
        );
        assert.ok(
          got.every((v) => v === (sign > 0 ? (size < 1e19 ? rows : v) : 1)),
          `${size}: ${got}`,
        );
        assert.ok(got.every(Number.isFinite), `${size}: ${got}`);
      }
    }
    const large = await attend(
      of(
        1,
        () => 1,
        () => 1e37,
      ),
    );
    assert.ok(
      large.every((v) => Math.abs(v / 1e37 - 1) < 1e-6),
      `${large}`,
    );
    const zeros = await attend(new Float32Array(rows * 12));
    assert.equal([...zeros], Array(rows * 4).fill(0));
  });
}

test("some of an image's queries have the bits that all of them give", async () => {
  const shape = { heads: 4, kvHeads: 2, headDim: 22 },
    d = 24,
    L = 9,
    capacity = 20,
    chosen = [7, 0];
  const q = headsOf('bf16', 2 * L, 4, 22, 1, 6),
    cache = {
      k: tensor('bf16', [2 * capacity, 2 * d], headsOf('bf16', 2 * capacity, 2, 22, 2)),
      v: tensor('bf16', [2 * capacity, 2 * d], headsOf('bf16', 2 * capacity, 2, 22, 3)),
    };
  const seq = { branches: 2, capacity, ids: tensor('u32', [2, capacity], []), position: tensor('u32', [2], [5, 3]) };
  const some = [0, 1].flatMap((b) =>
    chosen.flatMap((i) => [...q.subarray((b * L + i) * 4 * d, (b * L + i + 1) * 4 * d)]),
  );
  const all = await run((p) => gqa(p, tensor('bf16', [2 * L, 4 * d], q), cache, seq, shape, false)),
    got = await run((p) => gqa(p, tensor('bf16', [4, 4 * d], some), cache, seq, shape, false, L));
  const want = [0, 1].flatMap((b) =>
    chosen.flatMap((i) => [...all.subarray((b * L + i) * 4 * d, (b * L + i + 1) * 4 * d)]),
  );
  assert.equal([...got], want);
});

test('no rows', async () => {
  assert.is((await run((p) => selfAttention(p, tensor('f32', [0, 12], []), 1, 4))).length, 0);
});

test('operands that do not fit are errors that name them', async () => {
  const seq = { branches: 2, capacity: 4, ids: tensor('u32', [2, 4], []), position: tensor('u32', [2], [0, 0]) };
  const cache = { k: tensor('f32', [8, 8], []), v: tensor('f32', [8, 8], []) },
    q = (rows: number, cols: number) => tensor('f32', [rows, cols], numbers(rows * cols));
  await shapeError((p) => selfAttention(p, q(2, 16), 1, 4), /self_attention: test f32\[2,16\]; want qkv \[rows, 12\]/);
  await shapeError(
    (p) => gqa(p, q(2, 12), cache, seq, { heads: 3, kvHeads: 2, headDim: 4 }, true),
    /gqa: test f32\[2,12\], test f32\[8,8\]/,
  );
  await shapeError(
    (p) => gqa(p, q(2, 12), cache, seq, { heads: 4, kvHeads: 2, headDim: 4 }, true),
    /gqa: test f32\[2,12\], test f32\[8,8\]/,
  );
  await shapeError(
    (p) => gqa(p, q(3, 16), cache, seq, { heads: 4, kvHeads: 2, headDim: 4 }, true),
    /gqa: test f32\[3,16\], test f32\[8,8\]/,
  );
  await shapeError(
    (p) =>
      gqa(p, q(2, 16), { ...cache, v: tensor('bf16', [8, 8], []) }, seq, { heads: 4, kvHeads: 2, headDim: 4 }, true),
    /gqa: test f32\[2,16\], test f32\[8,8\], test bf16\[8,8\]/,
  );
});

test.run();
