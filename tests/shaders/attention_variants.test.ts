// The kernels of attention that a GPU gets, which any adapter can run: all candidates of a shape give the same bits.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Tuning } from '../../engine/tuning.ts';
import { gqa } from '../../shaders/attention.ts';
import { close, hardwareDevice, numbers, run, tensor } from '../gpu.ts';
import { attention } from '../reference.ts';

const device = await hardwareDevice();

for (const [type, count, past, heads, kvHeads, headDim] of [
  ['bf16', 19, 31, 4, 2, 16],
  ['bf16', 9, 60, 7, 1, 64],
  ['f32', 3, 0, 2, 2, 20],
  ['bf16', 34, 3, 1, 1, 128],
] as const) {
  test(`${type}: ${count} queries behind ${past}, ${heads} heads of ${headDim} over ${kvHeads}`, async () => {
    const capacity = past + count + 5,
      keys = past + count,
      width = kvHeads * headDim,
      q = numbers(2 * count * heads * headDim, type, 1).map((v) => 4 * v),
      k = numbers(2 * capacity * width, type, 2),
      v = numbers(2 * capacity * width, type, 3);
    // Keys and values that no query sees are NaN: one that is looked at spoils the result.
    for (const t of [k, v])
      for (const b of [0, 1]) t.fill(NaN, (b * capacity + keys) * width, (b + 1) * capacity * width);
    const seq = {
      branches: 2,
      capacity,
      ids: tensor('u32', [2, capacity], [], device),
      position: tensor('u32', [2], [past, past], device),
    };
    const cache = {
      k: tensor(type, [2 * capacity, width], k, device),
      v: tensor(type, [2 * capacity, width], v, device),
    };
    for (const causal of [true, false]) {
      const by = async (variant: string): Promise<Float32Array> => {
        device.tuning = new Tuning(`attention:${variant}`);
        let ran = '';
        const got = await run((p) => {
          const x = tensor(type, [2 * count, heads * headDim], q, device);
          const y = gqa(p, x, cache, seq, { heads, kvHeads, headDim }, causal);
          ran = p.dispatches[0].variant;
          return y;
        }, device);
        assert.is(ran, variant);
        return got;
      };
      const want = [0, 1].flatMap((b) => [
        ...attention(
          q.subarray(b * count * heads * headDim),
          k.subarray(b * capacity * width),
          v.subarray(b * capacity * width),
          { heads, kvHeads, headDim, count, past, causal },
        ),
      ]);
      const row = await by('row');
      close(row, want, type === 'f32' ? 5e-6 : 4e-3);
      const tiles = headDim > 64 ? ['tile_1', 'tile_2'] : ['tile_1', 'tile_2', 'tile_4'];
      for (const variant of type === 'bf16' ? [...tiles, 'tile_2_wide'] : tiles)
        assert.equal([...(await by(variant))], [...row], variant);
    }
  });
}

for (const [type, count, past, room, causal] of [
  ['bf16', 1, 700, 800, true],
  ['f32', 3, 254, 600, true],
  ['bf16', 2, 511, 520, false],
] as const)
  test(`${type}: ${count} queries behind ${past} take a workgroup for each chunk of keys`, async () => {
    const [heads, kvHeads, headDim] = [4, 2, 24],
      keys = past + count,
      width = kvHeads * headDim,
      q = numbers(2 * count * heads * headDim, type, 1).map((v) => 4 * v);
    const names: string[] = [];
    /** Over caches with room for so many keys, those that no query sees NaN. */
    const over = (capacity: number, positions: number[]): Promise<Float32Array> => {
      const cacheOf = (seed: number): Float32Array => {
        const values = new Float32Array(2 * capacity * width).fill(NaN);
        for (const b of [0, 1])
          values.set(
            numbers(keys * width, type, seed + b).subarray(0, (positions[b] + count) * width),
            b * capacity * width,
          );
        return values;
      };
      const seq = {
        branches: 2,
        capacity,
        ids: tensor('u32', [2, capacity], [], device),
        position: tensor('u32', [2], positions, device),
      };
      const cache = {
        k: tensor(type, [2 * capacity, width], cacheOf(2), device),
        v: tensor(type, [2 * capacity, width], cacheOf(4), device),
      };
      return run((p) => {
        const x = tensor(type, [2 * count, heads * headDim], q, device),
          y = gqa(p, x, cache, seq, { heads, kvHeads, headDim }, causal);
        names.splice(0, names.length, ...p.dispatches.map(({ name }) => name));
        return y;
      }, device);
    };
    const positions = [past, 40],
      got = await over(room, positions);
    assert.equal(names, ['attention_chunks', 'attention_merge']);
    const want = positions.flatMap((before, b) => [
      ...attention(
        q.subarray(b * count * heads * headDim),
        numbers(keys * width, type, 2 + b),
        numbers(keys * width, type, 4 + b),
        { heads, kvHeads, headDim, count, past: before, causal },
      ),
    ]);
    close(got, want, type === 'f32' ? 5e-6 : 4e-3);
    // However much room there is, the bits are the same; of one chunk those of the kernel without chunks.
    assert.equal([...(await over(2 * room, positions))], [...got]);
    const few = await over(room, [40, 250 - count]);
    assert.equal([...(await over(250, [40, 250 - count]))], [...few]);
    assert.equal(names, ['attention']);
  });

test.run();
