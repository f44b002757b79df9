import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { samplerStep } from '../../shaders/sampler_step.ts';
import { close, device, numbers, run, shapeError, tensor } from '../gpu.ts';

const steps = 4,
  positions = 6,
  d = 5;
const coefficients = [
  [0.5, 0.25, 0, 0],
  [0.125, -2, 1.5, 2],
  [1, 1, 0.5, 3],
  [0.75, 0.5, 0, 3],
]; // a, b, c, row of the noise
const tables = (rows: number, step: number, omega: number) => ({
  coefficients: tensor('f32', [steps, 4], coefficients.flat()),
  step: tensor('u32', [1], [step]),
  guidance: tensor('f32', [1], [omega]),
  stepNoise: tensor('f32', [steps * positions, d], noise),
  chosen: tensor('u32', [rows], [4, 0, 5].slice(0, rows)),
});
const noise = numbers(steps * positions * d, 'f32', 3);

for (const branches of [1, 2]) {
  for (const rows of [1, 3]) {
    for (const [step, offset] of [
      [0, 0],
      [0, 1],
      [1, 1],
      [3, 0],
    ]) {
      test(`${branches} branches of ${rows} rows, step ${step} + ${offset}`, async () => {
        const half = numbers(rows * d),
          x = [...half, ...half].slice(0, branches * rows * d),
          u = numbers(branches * rows * d, 'f32', 2),
          omega = 2.5;
        const [a, b, c, row] = coefficients[step + offset];
        const want = Array.from({ length: rows * d }, (_, i) => {
          const v = branches === 2 ? u[rows * d + i] + omega * (u[i] - u[rows * d + i]) : u[i];
          return a * v + b * x[i] + c * noise[(row * positions + [4, 0, 5][Math.floor(i / d)]) * d + (i % d)];
        });
        const y = tensor('f32', [branches * rows, d], x);
        await run((p) =>
          samplerStep(p, y, tensor('f32', [branches * rows, d], u), tables(rows, step, omega), branches, offset),
        );
        close(await device.read(y), branches === 2 ? [...want, ...want] : want, 5e-7);
      });
    }
  }
}

test('steps without noise take any tensor for it', async () => {
  const x = tensor('f32', [1, 4], [1, 2, 3, 4]),
    t = { ...tables(1, 0, 1), stepNoise: tensor('f32', [1, 4], [NaN, NaN, NaN, NaN]) };
  await run((p) => samplerStep(p, x, tensor('f32', [1, 4], [4, 4, 4, 8]), t, 1, 0));
  assert.equal([...(await device.read(x))], [2.25, 2.5, 2.75, 5]);
});

test('operands that do not fit are errors that name them', async () => {
  const t = tables(1, 0, 1),
    x = () => tensor('f32', [2, 5], numbers(10));
  await shapeError(
    (p) => samplerStep(p, x(), tensor('f32', [1, 5], numbers(5)), t, 1, 0),
    /sampler_step: test f32\[2,5\], test f32\[1,5\]/,
  );
  await shapeError(
    (p) => samplerStep(p, x(), tensor('bf16', [2, 5], numbers(10)), t, 1, 0),
    /sampler_step: test f32\[2,5\], test bf16\[2,5\]/,
  );
});

test('more rows than one workgroup has threads for', async () => {
  const rows = 40,
    chosen = Array.from({ length: rows }, (_, i) => i % positions),
    t = { ...tables(1, 1, 1.5), chosen: tensor('u32', [rows], chosen) },
    half = numbers(rows * d),
    u = numbers(2 * rows * d, 'f32', 2),
    [a, b, c, row] = coefficients[1];
  const want = Array.from({ length: rows * d }, (_, i) => {
    const v = u[rows * d + i] + 1.5 * (u[i] - u[rows * d + i]);
    return a * v + b * half[i] + c * noise[(row * positions + chosen[Math.floor(i / d)]) * d + (i % d)];
  });
  const x = tensor('f32', [2 * rows, d], [...half, ...half]);
  await run((p) => samplerStep(p, x, tensor('f32', [2 * rows, d], u), t, 2, 0));
  close(await device.read(x), [...want, ...want], 1e-6);
});

test.run();
