// The model's schedules against those written anew from the specification.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as sampler from '../../model/sampler.ts';
import {
  defaultSettings,
  iterationsFor,
  mostSteps,
  resolveAnswer,
  resolveSettings,
  settingsOf,
  stepRange,
} from '../../model/settings.ts';
import * as wanted from './schedules.ts';

const near = (got: ArrayLike<number>, want: number[]) => {
  assert.is(got.length, want.length);
  for (const [i, value] of want.entries())
    assert.ok(Math.abs(got[i] - value) <= 1e-12, `${i}: ${got[i]}, want ${value}`);
};

test('ᾱ, the chosen times, what stays hidden, and guidance', () => {
  for (const timesteps of [2, 250, 1000]) near(sampler.alphasBar(timesteps), wanted.alphasBar(timesteps));
  for (const [timesteps, n] of [
    [1000, 1],
    [1000, 2],
    [1000, 7],
    [1000, 50],
    [1000, 667],
    [1000, 1000],
    [251, 101],
  ])
    assert.equal(sampler.chosenTimes(timesteps, n), wanted.chosenTimes(timesteps, n));
  for (const [tokens, iterations] of [
    [64, 64],
    [256, 64],
    [16, 5],
    [9, 20],
    [36, 1],
  ])
    assert.equal(sampler.hiddenAfter(tokens, iterations), wanted.hiddenAfter(tokens, iterations));
  for (const schedule of ['constant', 'linear'] as const)
    near(
      [0, 5, 64].map((known) => sampler.guidanceAt(3, schedule, known, 64)),
      [0, 5, 64].map((known) => wanted.guidanceAt(3, schedule, known, 64)),
    );
});

test('settings: one wrong value of each is refused by name, and so is one that a system has no use for', () => {
  const all = settingsOf(['iterations', 'steps', 'cfg', 'cfg_schedule', 'eta', 'temperature'], {
    steps: { most: 100 },
  });
  const defaults = { iterations: 8, steps: 10, cfg: 3, cfg_schedule: 'linear', eta: 0, temperature: 1 } as const;
  const resolve = (given: object, table = all) => resolveSettings(table, defaults, given, 'vq');
  for (const [key, values] of Object.entries({
    iterations: [0, 1.5, -1, NaN, '3'],
    steps: [0, 1.5, 101, '5:0', '50:5:2', 'many', '101:5', '5:101'],
    cfg: [-1, Infinity, NaN, '2'],
    cfg_schedule: ['cosine', 1],
    eta: [-0.1, 1.1],
    temperature: [-1, NaN],
  }))
    for (const value of values)
      assert.throws(() => resolve({ [key]: value }), new RegExp(`^${key} is .*; give `), `${value}`);
  assert.throws(
    () => resolve({ eta: 1 }, settingsOf(['cfg'])),
    /eta is no setting of a model of variant vq; it has cfg/,
  );
  assert.equal(resolve({ steps: '50:5' }).steps, '50:5');
  assert.equal(stepRange('50:5'), { first: 50, last: 5 });
  for (const bad of [
    { max_new_tokens: 0 },
    { temperature: -1 },
    { top_p: 0 },
    { top_p: 1.1 },
    { seed: -1 },
    { seed: 2 ** 53 },
  ])
    assert.throws(() => resolveAnswer(bad), new RegExp(`^${Object.keys(bad)[0]} is `));
});

test("a model's own values: its file's where they are right, else the table's, within what it can do", () => {
  const table = settingsOf(['iterations', 'steps', 'cfg'], { iterations: iterationsFor(16), steps: { most: 60 } });
  const plain = { iterations: 16, steps: 60, cfg: 3, cfg_schedule: 'linear', eta: 0, temperature: 1 };
  assert.equal(defaultSettings(table, {}), plain);
  assert.equal(defaultSettings(table, { steps: '50:5', cfg: 2, eta: 1 }), { ...plain, steps: '50:5', cfg: 2, eta: 1 });
  assert.equal(defaultSettings(table, { steps: 61, cfg: -1, iterations: 1.5, eta: 2, temperature: 'hot' }), plain);
  assert.equal(iterationsFor(256), { default: 64 });
  assert.equal([mostSteps(7), mostSteps('5:50'), mostSteps('50:5')], [7, 50, 50]);
  assert.equal(resolveAnswer({ seed: 4 }, { max_new_tokens: 7, top_p: 0.5, seed: 3 }), {
    max_new_tokens: 7,
    temperature: 0,
    top_p: 0.5,
    seed: 4,
  });
});

test.run();
