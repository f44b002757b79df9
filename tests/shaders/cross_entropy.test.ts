import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { crossEntropy } from '../../shaders/cross_entropy.ts';
import { scale } from '../../shaders/scale.ts';
import { close, run, shapeError, tensor } from '../gpu.ts';
import { checkGradients, fixed, gradients, random } from '../gradients.ts';

/** Σ weight (log Σ e^logit - logit[target]) over the first `classes` of each row. */
function loss(logits: ArrayLike<number>, target: number[], weight: ArrayLike<number>, classes: number): number[] {
  const cols = logits.length / target.length;
  let sum = 0;
  target.forEach((t, r) => {
    if (t < 0) return;
    const row = Array.from({ length: classes }, (_, c) => logits[r * cols + c]),
      top = Math.max(...row);
    sum += weight[r] * (top + Math.log(row.reduce((a, x) => a + Math.exp(x - top), 0)) - row[t]);
  });
  return [sum];
}

for (const [rows, classes, cols] of [
  [1, 1, 1],
  [1, 2, 2],
  [3, 7, 9],
  [5, 300, 302],
  [9, 1025, 1025],
]) {
  test(`[${rows}, ${classes} of ${cols}]: loss and gradient, ignored targets among them`, async () => {
    const logits = random('f32', [rows, cols], 1, 8),
      target = Array.from({ length: rows }, (_, r) => (r % 4 === 1 ? -100 : (r * 37) % classes)),
      weight = Float32Array.from({ length: rows }, (_, r) => 1 / (r + 2));
    const operands = { logits, t: fixed('i32', [rows], target), w: fixed('f32', [rows], weight) };
    close(
      await run((p) =>
        crossEntropy(
          p,
          tensor('f32', [rows, cols], logits.values),
          tensor('i32', [rows], target),
          tensor('f32', [rows], weight),
          classes,
        ),
      ),
      loss(logits.values, target, weight, classes),
      2e-6,
    );
    await checkGradients(
      operands,
      (p, t) => crossEntropy(p, scale(p, t.logits, 1), t.t, t.w, classes),
      (v) => loss(v.logits, target, weight, classes),
      3e-6,
    );
  });
}

test('logits as wide as a vocabulary, far apart: one takes all', async () => {
  const cols = 151936,
    values = new Float32Array(cols);
  values[77] = 1e30;
  const { of, dy } = await gradients({ x: { ...random('f32', [1, cols], 1), values } }, (p, { x }) =>
    crossEntropy(p, scale(p, x, 1), tensor('i32', [1], [5]), tensor('f32', [1], [1]), cols),
  );
  assert.is(of.x[77], dy[0]);
  assert.is(of.x[5], -dy[0]);
  assert.ok(of.x.every((v, i) => v === 0 || i === 77 || i === 5));
});

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => crossEntropy(p, tensor('f32', [2, 5], []), tensor('i32', [3], []), tensor('f32', [2], []), 5),
    /cross_entropy: test f32\[2,5\], test i32\[3\]/,
  ));

test.run();
