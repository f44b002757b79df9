import { test } from 'uvu';
import { mse } from '../../shaders/mse.ts';
import { close, run, shapeError, tensor } from '../gpu.ts';
import { checkGradients, fixed, random } from '../gradients.ts';

for (const [rows, cols] of [
  [1, 1],
  [3, 7],
  [130, 5],
]) {
  test(`[${rows}, ${cols}]: loss and gradient, rows of no weight among them`, async () => {
    const u = random('f32', [rows, cols], 1, 3),
      target = random('f32', [rows, cols], 2).values,
      weight = Float32Array.from({ length: rows }, (_, r) => (r % 4 === 1 ? 0 : 1 / (r + 1)));
    const loss = (x: ArrayLike<number>) => {
      let sum = 0;
      for (let i = 0; i < x.length; i++) sum += weight[Math.floor(i / cols)] * (x[i] - target[i]) ** 2;
      return [sum];
    };
    const operands = { u, t: fixed('f32', [rows, cols], target), w: fixed('f32', [rows], weight) };
    const of = (t: typeof u) => tensor('f32', [rows, cols], t.values);
    close(await run((p) => mse(p, of(u), of(operands.t), tensor('f32', [rows], weight))), loss(u.values), 2e-6);
    await checkGradients(
      operands,
      (p, t) => mse(p, t.u, t.t, t.w),
      (v) => loss(v.u),
      2e-6,
    );
  });
}

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => mse(p, tensor('f32', [2, 5], []), tensor('f32', [2, 5], []), tensor('f32', [3], [])),
    /mse: test f32\[3\]; want a weight f32\[2\]/,
  ));

test.run();
