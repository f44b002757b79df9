// One step of the chessboard's sampler against the same in f64, over all of the schedule.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { boardSteps, cellsOf, denoise, stepRow } from '../../numerics/chessboard.ts';
import { type NumberType, roundTo } from '../../numerics/number_types.ts';
import type { Quadrant } from '../../shaders/chessboard.ts';
import { chessboardStep } from '../../shaders/chessboard_step.ts';
import { normals, seedWords, stepNoiseStream } from '../../shaders/random.ts';
import { close, device, numbers, run, shapeError, tensor } from '../gpu.ts';

const steps = 40;
const seed = 5;
/** Points as the noise of every size has them, and some far out. */
const points = numbers(2 * 66).map((x, i) => 3 * x * (i % 7 ? 1 : 2));

/** Where step number `now` takes the points. */
async function step(
  now: number,
  prediction: 'v' | 'epsilon' | 'x',
  eta: number,
  type?: NumberType,
  quadrant?: Quadrant,
) {
  const rows = boardSteps(prediction, steps, eta);
  const x = tensor('f32', [points.length / 4, 4], points);
  const tables = {
    steps: tensor('f32', [steps, 24], rows.flatMap(stepRow)),
    step: tensor('u32', [1], [now]),
    seed: tensor('u32', [2], seedWords(seed)),
  };
  await run((p) => chessboardStep(p, x, tables, { type, quadrant, noisy: eta > 0 }));
  return { got: await device.read(x), row: rows[now] };
}

for (const quadrant of [undefined, 0, 1, 2, 3] as const) {
  test(`without rounding, ${quadrant === undefined ? 'all cells' : `quadrant ${quadrant}`}: f64 within 3e-6`, async () => {
    for (let now = 0; now < steps; now++) {
      const { got, row } = await step(now, 'v', 0, undefined, quadrant);
      const cells = cellsOf(quadrant);
      const want = Array.from({ length: points.length / 2 }, (_, i) => {
        const old = points.subarray(2 * i, 2 * i + 2);
        return denoise(old, row.phi, cells).map((clean, axis) => row.a * clean + row.b * old[axis]);
      }).flat();
      close(got, want, 3e-6);
    }
  });
}

test('noise is that of the seed and the step', async () => {
  for (const now of [0, 20, steps - 2]) {
    const [{ got, row }, { row: same, got: still }] = [await step(now, 'x', 1), await step(now, 'x', 0)];
    assert.ok(row.sigma > 0 && same.sigma === 0);
    const cells = cellsOf();
    const want = Array.from({ length: points.length / 2 }, (_, i) => {
      const old = points.subarray(2 * i, 2 * i + 2);
      const noise = normals([i >> 1, stepNoiseStream, now, 0], seedWords(seed)).slice(2 * (i & 1));
      return denoise(old, row.phi, cells).map((x0, axis) => row.a * x0 + row.b * old[axis] + row.sigma * noise[axis]);
    }).flat();
    close(got, want, 4e-6);
    assert.not.equal([...got], [...still]);
  }
});

for (const type of ['bf16', 'f16'] as const) {
  test(`rounding to ${type} adds the error that it makes in u`, async () => {
    for (const prediction of ['v', 'epsilon', 'x'] as const) {
      for (const now of [0, 10, 30, steps - 1]) {
        const [{ got, row }, { got: exact }] = [
          await step(now, prediction, 0, type),
          await step(now, prediction, 0, undefined),
        ];
        // Where u is in the middle of two numbers f32 may take the other one: those few are left out.
        let wrong = 0;
        for (let i = 0; i < points.length; i++) {
          const old = points.subarray(i - (i % 2), i - (i % 2) + 2);
          const u = row.p * points[i] + row.q * denoise(old, row.phi, cellsOf())[i % 2];
          const want = exact[i] + row.c * (roundTo(type, u) - u);
          const bound = 4e-6 * Math.max(1, Math.abs(want)) + 2e-7 * Math.abs(row.c) * (1 + Math.abs(row.q));
          if (!(Math.abs(got[i] - want) <= bound)) wrong++;
        }
        assert.ok(wrong <= 2, `${prediction}, step ${now}: ${wrong} of ${points.length} are off`);
      }
    }
  });
}

test("f32's rounding error is even within half a spacing", async () => {
  const [{ got, row }, { got: exact }] = [await step(0, 'epsilon', 0, 'f32'), await step(0, 'epsilon', 0, undefined)];
  const errors = Array.from(got, (x, i) => {
    const u =
      row.p * points[i] + row.q * denoise(points.subarray(i - (i % 2), i - (i % 2) + 2), row.phi, cellsOf())[i % 2];
    return (x - exact[i]) / row.c / 2 ** (Math.floor(Math.log2(Math.abs(u))) - 23);
  });
  assert.ok(Math.max(...errors.map(Math.abs)) < 0.6);
  assert.ok(Math.max(...errors) > 0.4 && Math.min(...errors) < -0.4);
});

test('operands that do not fit are errors that name them', async () => {
  const tables = { steps: tensor('f32', [2, 20], []), step: tensor('u32', [1], [0]), seed: tensor('u32', [2], [0, 0]) };
  const x = tensor('f32', [2, 4], []);
  await shapeError((p) => chessboardStep(p, x, tables), /chessboard_step: test f32\[2,4\], test f32\[2,20\]/);
});

test.run();
