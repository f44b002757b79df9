// The sampler against the textbook forms of what it computes: DDIM, DDPM's posterior, guidance, the schedules.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  alphasBar,
  angularStep,
  chosenTimes,
  guidanceAt,
  hiddenAfter,
  type Prediction,
  phases,
  samplerCoefficients,
  stepsAt,
  targetAngle,
} from '../../model/sampler.ts';

const T = 1000;
const bars = alphasBar(T);
const phi = phases(T);
const predictions: Prediction[] = ['v', 'epsilon', 'x', 2.2, 3];

const close = (got: number, want: number, bound: number, what: string) =>
  assert.ok(Math.abs(got - want) <= bound * Math.max(1, Math.abs(want)), `${what}: ${got}, want ${want}`);

/** u of Eq. 11 at time t for a clean x and its noise. */
function output(prediction: Prediction, t: number, x: number, noise: number): number {
  const psi = targetAngle(prediction, phi[t]);
  return Math.cos(psi) * x + Math.sin(psi) * noise;
}

test('v is cos φ ε - sin φ x (Eq. 21), and the angles are those of ᾱ', () => {
  for (let t = 0; t < T; t++) {
    close(output('v', t, 0.7, -1.3), Math.sqrt(bars[t]) * -1.3 - Math.sqrt(1 - bars[t]) * 0.7, 1e-12, `v at ${t}`);
    close(output('epsilon', t, 0.7, -1.3), -1.3, 1e-12, `ε at ${t}`);
    close(output('x', t, 0.7, -1.3), 0.7, 1e-12, `x at ${t}`);
  }
});

test('ᾱ is the cosine schedule with betas clipped at 0.999 (spec section 5)', () => {
  const f = (t: number) => Math.cos((Math.PI / 2) * ((t / 1000 + 0.008) / 1.008)) ** 2;
  for (let t = 0; t < T - 1; t++) close(bars[t], f(t + 1) / f(0), 1e-12, `ᾱ at ${t}`);
  close(bars[T - 1] / bars[T - 2], 0.001, 1e-9, 'the last, where the schedule ends at 0'); // its beta is clipped
});

test('a step goes to the chosen time before its own', () => {
  const [, left] = samplerCoefficients('x', T, 3, 0, 1); // from 999 to 500, and then to 0
  close(left, Math.sin(phi[chosenTimes(T, 3)[1]]) / Math.sin(phi[T - 1]), 1e-9, 'what is left of the noise');
});

test("Eq. 16 equals the textbook's DDIM step over all t", () => {
  for (const prediction of predictions) {
    for (let t = 0; t < T; t++) {
      const x = 0.7 * Math.cos(t);
      const noise = -1.3 * Math.sin(3 * t);
      const xt = Math.sqrt(bars[t]) * x + Math.sqrt(1 - bars[t]) * noise;
      const next = t ? bars[t - 1] : 1;
      const { a, b, sigma } = angularStep(targetAngle(prediction, phi[t]), phi[t], t ? phi[t - 1] : 0);
      const want = Math.sqrt(next) * x + Math.sqrt(1 - next) * noise;
      close(a * output(prediction, t, x, noise) + b * xt, want, 1e-6, `${prediction} at ${t}`);
      assert.is(sigma, 0);
    }
  }
});

test("eta 1 over all steps is DDPM's posterior", () => {
  const rows = samplerCoefficients('epsilon', T, T, 1, 0.9);
  for (let t = 0; t < T; t++) {
    const [a, b, scale, j] = rows.subarray(4 * (T - 1 - t));
    const before = t ? bars[t - 1] : 1;
    const alpha = bars[t] / before;
    const [x, noise] = [0.4, 1.1];
    const xt = Math.sqrt(bars[t]) * x + Math.sqrt(1 - bars[t]) * noise;
    const toX = (Math.sqrt(before) * (1 - alpha)) / (1 - bars[t]);
    const toXt = (Math.sqrt(alpha) * (1 - before)) / (1 - bars[t]);
    close(a * noise + b * xt, toX * x + toXt * xt, 1e-6, `mean at ${t}`);
    close(scale, 0.9 * Math.sqrt(((1 - alpha) * (1 - before)) / (1 - bars[t])), 1e-9, `deviation at ${t}`);
    assert.is(j, t);
  }
});

test('eta between 0 and 1 leaves the variance of x as the schedule has it', () => {
  for (const eta of [0.2, 0.5, 1]) {
    for (const [t, before] of [
      [999, 950],
      [500, 400],
      [20, 0],
    ]) {
      const { a, b, sigma } = angularStep(targetAngle('epsilon', phi[t]), phi[t], phi[before], eta);
      const ofNoise = a + b * Math.sin(phi[t]);
      close(b * Math.cos(phi[t]), Math.cos(phi[before]), 1e-9, 'share of x');
      close(Math.hypot(ofNoise, sigma), Math.sin(phi[before]), 1e-9, 'share of noise');
    }
  }
});

test('guidance on v equals guidance on ε (Eq. 28, 29)', () => {
  for (const omega of [0, 1, 3, 7.5]) {
    for (const t of chosenTimes(T, 50)) {
      const xt = 0.8;
      const [xCond, xUncond] = [0.31, -0.12];
      const noiseOf = (x: number) => (xt - Math.cos(phi[t]) * x) / Math.sin(phi[t]);
      const guided = (prediction: Prediction) => {
        const [c, u] = [xCond, xUncond].map((x) => output(prediction, t, x, noiseOf(x)));
        const { a, b } = angularStep(targetAngle(prediction, phi[t]), phi[t], t ? phi[t - 1] : 0);
        return a * (u + omega * (c - u)) + b * xt;
      };
      close(guided('v'), guided('epsilon'), 1e-5, `ω ${omega} at ${t}`);
      close(guided('v'), guided('x'), 1e-5, `ω ${omega} at ${t}`);
    }
  }
});

test('a constant angle that is φ of a time step is an error', () => {
  assert.throws(
    () => samplerCoefficients(phi[500], T, T, 0, 1),
    (e: Error) => /is φ of a time step/.test(e.message),
  );
});

test('chosen times hold both ends and round half to even', () => {
  assert.equal(chosenTimes(1000, 1), [0]);
  assert.equal(chosenTimes(1000, 2), [0, 999]);
  assert.equal(chosenTimes(6, 3), [0, 2, 5]);
  assert.equal(chosenTimes(4, 3), [0, 2, 3]);
  assert.equal(chosenTimes(5, 5), [0, 1, 2, 3, 4]);
  assert.throws(
    () => chosenTimes(10, 11),
    (e: Error) => /whole number from 1 to 10/.test(e.message),
  );
});

test('hidden positions fall by the cosine to none', () => {
  assert.equal(hiddenAfter(64, 4), [59, 45, 24, 0]);
  assert.equal(hiddenAfter(3, 6), [2, 1, 1, 1, 1, 0]);
  assert.equal(hiddenAfter(9, 1), [0]);
});

test('guidance and steps follow the tokens known', () => {
  assert.is(guidanceAt(3, 'constant', 10, 64), 3);
  assert.is(guidanceAt(3, 'linear', 32, 64), 2);
  assert.is(stepsAt(50, 5, 0, 64), 50);
  assert.is(stepsAt(50, 5, 32, 64), 28);
  const hidden = hiddenAfter(64, 16);
  const before = [64, ...hidden];
  const spent = hidden.reduce((sum, now, k) => sum + (before[k] - now) * stepsAt(50, 5, 64 - before[k], 64), 0);
  assert.is(spent, 1866); // of 64 × 50 = 3,200
});

test.run();
