// The chessboard on the device against the same in f64, and against what is known of it.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MMARError } from '../../base/error.ts';
import type { Prediction } from '../../model/sampler.ts';
import { boardSteps, cellsAway, cellsOf, denoise, exactPoints, isOn } from '../../numerics/chessboard.ts';
import type { NumberType } from '../../numerics/number_types.ts';
import { ChessboardRun } from '../../numerics/simulation.ts';
import { board } from '../../shaders/chessboard.ts';
import { device } from '../gpu.ts';

const samples = 10_000;

test('how far a point is from the filled cells', () => {
  const { side, cell } = board;
  assert.is(cellsAway([-side + cell / 2, -side + cell / 3]), 0); // on one
  assert.ok(Math.abs(cellsAway([-1.25 * cell, -0.5 * cell], 3) - 1.25) < 1e-12); // class 3 lies above 0 on both axes
  assert.ok(Math.abs(cellsAway([-side + 1.5 * cell, -side + 0.5 * cell]) - 0.5) < 1e-12); // the middle of an empty one
  assert.ok(Math.abs(cellsAway([side + cell, 0.5 * cell]) - 1) < 1e-12); // beside the board
});

test('the denoiser is the mean of x₀ given x: the same by brute force', () => {
  const n = 400;
  for (const phi of [0.05, 0.4, 0.7, 1.1, 1.5]) {
    for (const point of [
      [0.3, -0.2],
      [-1.6, 1.1],
    ]) {
      let [mass, x, y] = [0, 0, 0];
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const at = [i, j].map((k) => ((k + 0.5) / n - 0.5) * 2 * board.side);
          if (!isOn(at)) continue;
          const away = at.reduce((sum, a, axis) => sum + (point[axis] - Math.cos(phi) * a) ** 2, 0);
          const density = Math.exp(-away / (2 * Math.sin(phi) ** 2));
          [mass, x, y] = [mass + density, x + density * at[0], y + density * at[1]];
        }
      }
      const got = denoise(point, phi, cellsOf());
      assert.ok(Math.hypot(got[0] - x / mass, got[1] - y / mass) < 2e-3, `${point} at ${phi}: ${got}, ${x / mass}`);
    }
  }
});

test('the filled cells have mean 0 and variance 1 on each axis', () => {
  const { cells, middles } = cellsOf();
  assert.is(cells.length, 8);
  const moment = (power: number) =>
    cells.reduce((sum, [column]) => sum + middles[0][column] ** power, 0) / 8 +
    (power === 2 ? board.cell ** 2 / 12 : 0);
  assert.ok(Math.abs(moment(1)) < 1e-12 && Math.abs(moment(2) - 1) < 1e-12);
  for (const quadrant of [0, 1, 2, 3] as const) assert.is(cellsOf(quadrant).cells.length, 2);
});

/** The middle one of numbers: a few points that jump from one cell to another would rule a mean. */
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1];

for (const eta of [0, 1]) {
  test(`${samples} points of 50 steps, eta ${eta}: as f64 has them`, async () => {
    const settings = { steps: 50, eta, seed: 3 };
    const board = new ChessboardRun(device, samples, settings);
    for (const [prediction, type, bound] of [
      ['v', 'bf16', 2e-6],
      ['epsilon', 'bf16', 1e-3],
      ['x', 'f16', 2e-6],
    ] as [Prediction, NumberType, number][]) {
      const score = await board.run(prediction, type);
      const points = await board.points();
      const want = await exactPoints(samples, settings, { prediction, type });
      const check = await board.check(prediction, type, samples);
      const apart = Array.from({ length: samples }, (_, i) =>
        Math.hypot(points[2 * i] - want[2 * i], points[2 * i + 1] - want[2 * i + 1]),
      );
      assert.ok(median(apart) < bound, `${prediction} ${type}: half the points are over ${median(apart)} off`);
      assert.ok(Math.abs(score.wrong - check.wrong) <= 5 / samples, `wrong ${score.wrong}, ${check.wrong} in f64`);
      if (prediction === 'epsilon') assert.ok(Math.abs(score.drift / check.drift - 1) < 0.05, `drift ${score.drift}`);
    }
    await board.release();
  });
}

test('ε in bf16 drifts by more than half, v next to nowhere; next to no point is off', async () => {
  const run = new ChessboardRun(device, samples, { steps: 100, eta: 0, seed: 1 });
  const [v, epsilon] = [await run.run('v', 'bf16'), await run.run('epsilon', 'bf16')];
  assert.ok(epsilon.drift > 0.5 && epsilon.drift < 0.6, `ε drifts by ${epsilon.drift}`);
  assert.ok(v.drift < 5e-3, `v drifts by ${v.drift}`);
  assert.ok(v.wrong < 2e-3 && epsilon.wrong < 2e-3);
  assert.equal(v, await run.run('v', 'bf16')); // the same seed gives the same
  await run.release();
});

test('a class keeps its quadrant', async () => {
  const run = new ChessboardRun(device, 1001, { steps: 50, eta: 0, seed: 1, quadrant: 2 });
  assert.ok((await run.run('v', 'bf16')).wrong < 0.01);
  const points = await run.points();
  assert.is(points.length, 2002);
  for (let i = 0; i < 1001; i++) assert.ok(points[2 * i] < 0.02 && points[2 * i + 1] > -0.02);
  await run.release();
});

test('a stopped run says so and can be run again', async () => {
  const run = new ChessboardRun(device, 1000, { steps: 50, eta: 0, seed: 1 });
  const stop = new AbortController();
  const failure = await run
    .run('v', 'bf16', { signal: stop.signal, onStep: (done) => (done === 5 ? stop.abort() : undefined) })
    .catch((error: unknown) => error);
  assert.is((failure as MMARError).code, 'cancelled');
  assert.ok((await run.run('v', 'bf16')).drift < 0.1);
  await run.release();
});

test('settings that cannot be are errors', () => {
  const make = (n: number, steps: number) => () => new ChessboardRun(device, n, { steps, eta: 0, seed: 1 });
  assert.throws(make(0, 50), (e: MMARError) => e.code === 'usage' && /samples is 0/.test(e.message));
  assert.throws(make(10, 1001), (e: MMARError) => e.code === 'usage' && /steps is 1001/.test(e.message));
  assert.is(boardSteps('v', 1, 0).length, 1);
});

test.run();
