// The theory's curves against their definitions, and against simulated rounding.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { alphasBar, type Prediction, phases, targetAngle } from '../../model/sampler.ts';
import { numberTypes, roundTo } from '../../numerics/number_types.ts';
import { errorRows } from '../../numerics/theory.ts';
import { normals } from '../../shaders/random.ts';

const bars = alphasBar(1000);
const phi = phases(1000);
const near = (got: number, want: number, bound: number, what: string) =>
  assert.ok(Math.abs(got / want - 1) < bound, `${what}: ${got}, want ${want}`);

test('Eq. 18, 23 and 27 for ε, x and v', () => {
  for (const [type, delta] of [
    ['bf16', 2 ** -7],
    ['f16', 2 ** -10],
    ['f32', 2 ** -23],
  ] as const) {
    const [v, epsilon, x] = (['v', 'epsilon', 'x'] as const).map((prediction) => errorRows([prediction], [type]));
    for (let t = 0; t < 1000; t++) {
      const turn = Math.sin(phi[t] - (t ? phi[t - 1] : 0));
      assert.equal([v[t].t, v[t].type, epsilon[t].prediction], [t, type, 'epsilon']);
      near(v[t].step_error, turn * delta, 1e-9, `v, step ${t}`);
      near(epsilon[t].step_error, (turn * delta) / Math.sqrt(bars[t]), 1e-9, `ε, step ${t}`);
      near(x[t].step_error, (turn * delta) / Math.sqrt(1 - bars[t]), 1e-9, `x, step ${t}`);
      near(epsilon[t].unit_error, delta / Math.sqrt(bars[t]), 1e-9, `ε, unit step ${t}`);
      near(epsilon[t].v_loss, delta ** 2 / bars[t], 1e-9, `ε, v-loss ${t}`);
      near(v[t].v_loss, delta ** 2, 1e-9, `v, v-loss ${t}`);
      near(x[t].v_loss, delta ** 2 / (1 - bars[t]), 1e-9, `x, v-loss ${t}`);
    }
  }
});

test('no constant angle errs less than v at any step', () => {
  const v = errorRows(['v'], ['bf16']);
  for (const psi of [0.5, Math.PI / 2, 2.2, 3])
    for (const { t, step_error } of errorRows([psi], ['bf16'])) assert.ok(step_error >= v[t].step_error * (1 - 1e-9));
});

/** The mean squared error of v, from u of Eq. 11 with `spoil` done to it, over n pairs of x and ε. */
function vLoss(prediction: Prediction, t: number, spoil: (u: number, i: number) => number, n: number): number {
  const psi = targetAngle(prediction, phi[t]);
  const [sin, cos] = [Math.sin(phi[t]), Math.cos(phi[t])];
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const [x, noise] = normals([i, t, 0, 0], [9, 9]);
    const u = spoil(Math.cos(psi) * x + Math.sin(psi) * noise, i);
    const xt = cos * x + sin * noise;
    // Eq. 11 and 10 solved for x and ε, which make v (Eq. 21).
    const xOf = (Math.sin(psi) * xt - sin * u) / Math.sin(psi - phi[t]);
    const noiseOf = (cos * u - Math.cos(psi) * xt) / Math.sin(psi - phi[t]);
    sum += (cos * noiseOf - sin * xOf - (cos * noise - sin * x)) ** 2;
  }
  return sum / n;
}

const times = [0, 30, 250, 500, 750, 970, 998];
const predictions: Prediction[] = ['v', 'epsilon', 'x', 2.2];

test("Eq. 27's curve is what a relative error of δ does, within 5 %", () => {
  for (const prediction of predictions)
    for (const { t, v_loss } of errorRows([prediction], ['bf16']).filter((row) => times.includes(row.t)))
      near(
        vLoss(prediction, t, (u, i) => u * (1 + (i % 2 ? 1 : -1) / 128), 20_000),
        v_loss,
        0.05,
        `${prediction}, ${t}`,
      );
});

test('true rounding to the nearest follows the same curve, at a fixed part of it', () => {
  // The error is even in half a spacing either way; the mean square spacing over a normal u is 0.52 δ².
  for (const type of numberTypes.slice(0, 2)) {
    const parts = predictions.flatMap((prediction) =>
      errorRows([prediction], [type])
        .filter((row) => times.includes(row.t))
        .map((row) => vLoss(prediction, row.t, (u) => roundTo(type, u), 20_000) / row.v_loss),
    );
    const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
    for (const part of parts) near(part, mean, 0.05, type);
    near(mean, 0.52 / 12, 0.1, type);
  }
});

test('numbers of a type: ties to even, the least ones, and what is too large', () => {
  const cases = {
    f16: [
      [1 + 2 ** -11, 1],
      [1 + 3 * 2 ** -11, 1 + 2 ** -9],
      [2 ** -25, 0],
      [3 * 2 ** -25, 2 ** -23],
      [2 ** -15 + 2 ** -25, 2 ** -15],
      [65519, 65504],
      [65520, Infinity],
    ],
    bf16: [
      [1 + 2 ** -8, 1],
      [-1 - 3 * 2 ** -8, -1 - 2 ** -6],
      [2 ** -134, 0],
      [3 * 2 ** -134, 2 ** -132],
      [2 ** 128, Infinity],
    ],
    f32: [
      [1 + 2 ** -24, 1],
      [2 ** -150, 0],
      [3 * 2 ** -150, 2 ** -148],
    ],
  } as const;
  for (const type of numberTypes)
    for (const [x, want] of cases[type]) {
      assert.is(roundTo(type, x), want, `${type} ${x}`);
      assert.is(roundTo(type, -x), -want, `${type} ${-x}`);
    }
});

test.run();
