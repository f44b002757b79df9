// The host's random numbers: a permutation is one, from a fair draw.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { permutation } from '../../shaders/random.ts';

test('every index stands once, the same seed gives the same order, another seed another', () => {
  for (const n of [1, 2, 64, 257]) {
    const order = permutation(n, 5);
    assert.equal(
      [...order].sort((a, b) => a - b),
      Array.from({ length: n }, (_, i) => i),
    );
    assert.equal([...permutation(n, 5)], [...order]);
  }
  assert.not.equal([...permutation(64, 5)], [...permutation(64, 6)]);
  assert.not.equal([...permutation(64, 5)], [...permutation(64, 5 + 2 ** 32)]);
});

test('an index takes every place equally often, its own too', () => {
  const n = 5,
    draws = 5000,
    counts = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  for (let seed = 0; seed < draws; seed++) for (const [place, i] of permutation(n, seed).entries()) counts[i][place]++;
  const deviation = Math.sqrt((draws / n) * (1 - 1 / n));
  for (const [i, places] of counts.entries())
    for (const [place, count] of places.entries())
      assert.ok(Math.abs(count - draws / n) < 5 * deviation, `index ${i} stood ${count} times at ${place} of ${draws}`);
});

test.run();
