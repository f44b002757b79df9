// A small Diffusion MLP learns the chessboard: its loss falls, its points come nearer to their cells, and the same seed gives
// the same.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isOn } from '../../numerics/chessboard.ts';
import { TrainedBoard } from '../../training/board.ts';
import { device } from '../gpu.ts';

const settings = { batch: 64, width: 24, depth: 1, lr: 5e-3, seed: 1 };

async function learn(prediction: 'v' | 'epsilon', type: 'bf16' | 'f32', steps: number) {
  const model = new TrainedBoard(device, { ...settings, prediction, type, steps });
  const loss = await model.train();
  const points = await model.draw(200, 3, { steps: 20, eta: 0, skip: 0 });
  const on = Array.from({ length: 200 }, (_, i) => isOn(points.subarray(2 * i, 2 * i + 2), 3)).filter(Boolean).length;
  await model.release();
  return { loss, points: [...points], on };
}

for (const [prediction, type] of [
  ['v', 'f32'],
  ['epsilon', 'bf16'],
] as const) {
  test(`${prediction} in ${type}`, async () => {
    const [young, old] = [await learn(prediction, type, 1), await learn(prediction, type, 250)];
    assert.ok(old.loss < 0.85 * young.loss, `loss ${young.loss}, later ${old.loss}`);
    // An ε that has learned for so short a time errs too much where the noise is greatest: its points end far away.
    if (prediction === 'v') assert.ok(old.on > young.on + 20, `${young.on} of 200 on their cells, later ${old.on}`);
  });
}

test('the same seed gives the same points', async () => {
  assert.equal(await learn('v', 'bf16', 3), await learn('v', 'bf16', 3));
});

test('with all but the last step left out, points are drawn as with one step', async () => {
  const model = new TrainedBoard(device, { ...settings, prediction: 'epsilon', type: 'f32', steps: 2 });
  await model.train();
  const drawn = async (steps: number, skip: number) => [...(await model.draw(10, 1, { steps, eta: 0, skip }))];
  const [last, only, all] = [await drawn(20, 19), await drawn(1, 0), await drawn(20, 0)];
  assert.equal(last, only); // both at t = 0, which is the last of any number of steps
  assert.not.equal(last, all);
  await model.release();
});

test('a stop is heard', async () => {
  const model = new TrainedBoard(device, { ...settings, prediction: 'v', type: 'bf16', steps: 50 });
  const stop = new AbortController();
  const onStep = (done: number) => (done === 3 ? stop.abort() : undefined);
  const error = await model.train({ onStep, signal: stop.signal }).catch((e: unknown) => e);
  assert.is((error as { code: string }).code, 'cancelled');
  await model.release();
});

test.run();
