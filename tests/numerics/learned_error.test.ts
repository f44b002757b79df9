// What a learned model of the chessboard errs by, beside rounding: models that err by a known amount are told apart.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { phases, targetAngle } from '../../model/sampler.ts';
import { cellsOf, denoise } from '../../numerics/chessboard.ts';
import { learnedErrors, type Predict } from '../../numerics/learned_error.ts';
import { roundTo } from '../../numerics/number_types.ts';

const phi = phases(1000);
const how = { count: 40, times: 3, seed: 1 };

/** The exact output for a prediction, in f64, then what `then` makes of it. */
const exact =
  (prediction: 'v' | 'epsilon', then: (u: number) => number): Predict =>
  async (points, t, quadrant) =>
    Array.from({ length: points.length / 2 }, (_, i) => points.subarray(2 * i, 2 * i + 2)).flatMap((point) =>
      denoise(point, phi[t], cellsOf(quadrant)).map((clean, axis) => {
        const psi = targetAngle(prediction, phi[t]);
        const noise = (point[axis] - Math.cos(phi[t]) * clean) / Math.sin(phi[t]);
        return then(Math.cos(psi) * clean + Math.sin(psi) * noise);
      }),
    );

for (const prediction of ['v', 'epsilon'] as const) {
  test(`${prediction}: the exact output has no error, a rounded one that of its type, another its own`, async () => {
    const errors = (then: (u: number) => number) => learnedErrors(exact(prediction, then), prediction, 'bf16', how);
    for (const { learned, rounded } of await errors((u) => u)) assert.ok(learned < 1e-9 && rounded > 1e-4);
    for (const { learned, rounded } of await errors((u) => roundTo('bf16', u)))
      assert.ok(Math.abs(learned / rounded - 1) < 1e-3, `${learned}, ${rounded}`);
    for (const { learned } of await errors((u) => u + 0.25)) assert.ok(Math.abs(learned - 0.25) < 1e-6);
  });
}

test('an error of v is no more than one of x, that of ε grows without bound', async () => {
  const last = async (prediction: 'v' | 'epsilon') =>
    (
      await learnedErrors(
        exact(prediction, (u) => u),
        prediction,
        'bf16',
        how,
      )
    ).at(-1)!;
  const [v, epsilon] = [await last('v'), await last('epsilon')];
  assert.is(v.t, 999);
  assert.ok(v.grows <= 1 && epsilon.grows > 100, `${v.grows}, ${epsilon.grows}`);
});

test.run();
