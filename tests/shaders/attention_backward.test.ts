import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Recorder } from '../../engine/program.ts';
import type { ElementType, Tensor } from '../../engine/tensor.ts';
import { roundUp } from '../../engine/tensor.ts';
import { add } from '../../shaders/add.ts';
import { gqa, selfAttention } from '../../shaders/attention.ts';
import { gatherRows } from '../../shaders/gather_rows.ts';
import { rope } from '../../shaders/rope.ts';
import { ropeBackward } from '../../shaders/rope_backward.ts';
import { device, run, tensor } from '../gpu.ts';
import { checkGradients, gradients, type Operand, random } from '../gradients.ts';
import { attention } from '../reference.ts';

const bound = (type: ElementType): number => (type === 'f32' ? 2e-5 : 3e-2);

/** Random rows of heads, each padded with zeros to whole quads. */
function headsOf(type: ElementType, rows: number, heads: number, headDim: number, seed: number, size = 1): Operand {
  const d = roundUp(headDim, 4),
    t = random(type, [rows, heads * d], seed, size);
  const padding = (i: number) => i % d >= headDim;
  return { ...t, padding, values: Float32Array.from(t.values, (v, i) => (padding(i) ? 0 : v)) };
}

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, heads, headDim] of [
    [1, 1, 4],
    [3, 2, 6],
    [19, 2, 6],
    [37, 8, 6], // of which a thread takes four
    ...(type === 'f32' ? [[9, 3, 12]] : [[5, 1, 68]]),
  ]) {
    test(`self_attention ${type}: [${rows}, 3 × ${heads} × ${headDim}]`, () => {
      const d = roundUp(headDim, 4);
      return checkGradients(
        { qkv: headsOf(type, rows, 3 * heads, headDim, 1, 2) },
        (p, { qkv }) => selfAttention(p, qkv, heads, headDim),
        ({ qkv }) => {
          const part = (n: number) => qkv.filter((_, i) => Math.floor((i % (3 * heads * d)) / (heads * d)) === n);
          return attention(part(0), part(1), part(2), {
            heads,
            kvHeads: heads,
            headDim,
            count: rows,
            past: 0,
            causal: false,
          });
        },
        bound(type),
      );
    });
  }

  test(`rope and gqa ${type}: text, an image, text, in two branches of three that stand apart`, () => {
    const [heads, kvHeads, headDim] = [4, 2, 6],
      d = roundUp(headDim, 4),
      width = (heads + 2 * kvHeads) * d,
      capacity = 23;
    // Spans of a branch follow each other; the second branch begins two tokens later, after keys that nothing wrote: zeros.
    const spans = [5, 9, 2].map((count, i) => ({ count, causal: i !== 1, start: [0, 5, 14][i] })),
      begin = [0, 2],
      first = 1;
    const frequency = [1, 0.3, 0.05];
    const operands = {
      a: headsOf(type, 2 * spans[0].count, heads + 2 * kvHeads, headDim, 1, 2),
      b: headsOf(type, 2 * spans[1].count, heads + 2 * kvHeads, headDim, 2, 2),
      c: headsOf(type, 2 * spans[2].count, heads + 2 * kvHeads, headDim, 3, 2),
    };
    const record = (p: Recorder, t: Record<'a' | 'b' | 'c', Tensor>) => {
      const cache = {
        k: tensor(type, [3 * capacity, kvHeads * d], []),
        v: tensor(type, [3 * capacity, kvHeads * d], []),
      };
      const outputs = spans.map(({ count, causal, start }, i) => {
        const seq = {
          branches: 2,
          first,
          capacity,
          ids: tensor('u32', [3, capacity], []),
          position: tensor('u32', [3], [0, ...begin.map((b) => b + start)]),
        };
        const qkv = [t.a, t.b, t.c][i];
        const q = rope(p, qkv, tensor('f32', [3], frequency), cache, seq, { heads, kvHeads, headDim });
        const y = gqa(p, q, cache, seq, { heads, kvHeads, headDim }, causal);
        // Two rows of each branch, so that the spans' results can be added up.
        return gatherRows(p, y, tensor('u32', [2], [0, count - 1]), 2);
      });
      // The first span's own queries lead nowhere: only its keys and values do.
      return add(p, outputs[1], outputs[2]);
    };
    const forward = (v: Record<'a' | 'b' | 'c', Float64Array>) =>
      begin.flatMap((from, b) => {
        const k = new Float64Array(capacity * kvHeads * d),
          values = new Float64Array(capacity * kvHeads * d),
          rows: Float64Array[] = [];
        spans.forEach(({ count, causal, start }, s) => {
          const qkv = [v.a, v.b, v.c][s],
            q = new Float64Array(count * heads * d);
          for (let i = 0; i < count; i++) {
            const row = qkv.subarray((b * count + i) * width),
              at = from + start + i;
            for (let h = 0; h < heads + 2 * kvHeads; h++) {
              for (let e = 0; e < headDim; e++) {
                const [x, y] = [row[h * d + (e % 3)], row[h * d + (e % 3) + 3]],
                  [sin, cos] = [Math.sin(at * frequency[e % 3]), Math.cos(at * frequency[e % 3])],
                  turned = e < 3 ? x * cos - y * sin : y * cos + x * sin;
                if (h < heads) q[(i * heads + h) * d + e] = turned;
                else if (h < heads + kvHeads) k[(at * kvHeads + h - heads) * d + e] = turned;
                else values[(at * kvHeads + h - heads - kvHeads) * d + e] = row[h * d + e];
              }
            }
          }
          const y = attention(q, k, values, { heads, kvHeads, headDim, count, past: from + start, causal });
          rows.push(Float64Array.of(...y.subarray(0, heads * d), ...y.subarray((count - 1) * heads * d)));
        });
        return [...rows[1].map((x, i) => x + rows[2][i])];
      });
    return checkGradients(operands, record, forward, bound(type));
  });
}

test('scores far apart: one key takes all, and gradients stay numbers', async () => {
  for (const rows of [2, 9]) {
    const values = Float32Array.from(
      { length: rows * 12 },
      (_, i) => [1e10, 1e10 * Math.floor(i / 12), 1][Math.floor((i % 12) / 4)],
    );
    const { of } = await gradients({ qkv: { type: 'f32', shape: [rows, 12], values, learns: true } }, (p, { qkv }) =>
      selfAttention(p, qkv, 1, 4),
    );
    assert.ok(of.qkv.every(Number.isFinite), `${of.qkv}`);
  }
});

test('without a tape nothing more is written than before', async () => {
  await run((p) => {
    const y = selfAttention(p, tensor('f32', [3, 12], []), 1, 4);
    assert.is(p.dispatches.at(-1)!.write.length, 1);
    return y;
  });
});

test('what led back from rope is used up: its rows of the gradients are zeros, the others as they were', async () => {
  const [heads, kvHeads, headDim, capacity] = [2, 1, 4, 5];
  const ones = (rows: number, cols: number) => tensor('f32', [rows, cols], new Float32Array(rows * cols).fill(1));
  const dcache = { k: ones(capacity, 4), v: ones(capacity, 4) };
  const seq = { branches: 1, capacity, ids: tensor('u32', [1, capacity], []), position: tensor('u32', [1], [1]) };
  const dqkv = await run((p) =>
    ropeBackward(p, ones(2, 16), tensor('f32', [2], [1, 0.1]), undefined, dcache, seq, { heads, kvHeads, headDim }),
  );
  assert.equal([...dqkv.slice(12, 16), ...dqkv.slice(28, 32)], Array(8).fill(1));
  const left = [1, 0, 0, 1, 1].flatMap((value) => Array<number>(4).fill(value));
  assert.equal([...(await device.read(dcache.k))], left);
  assert.equal([...(await device.read(dcache.v))], left);
});

test.run();
