// Where a picture's chance comes from: each use of a seed has a stream of its own, by the numbers that the first release had.
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Workspace } from '../../engine/workspace.ts';
import { DiffusionTables } from '../../model/diffusion_tables.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { chosenTimes, samplerCoefficients } from '../../model/sampler.ts';
import { nodePlatform } from '../../platform/node.ts';
import * as random from '../../shaders/random.ts';
import { normals, permutation, seedWords, uniformNumbers } from '../../shaders/random.ts';
import { close, device } from '../gpu.ts';

test('no two uses share numbers', () => {
  const { noiseStream, stepNoiseStream, orderStream, textStream, roundingStream, codeStream } = random;
  const all = [noiseStream, stepNoiseStream, orderStream, textStream, roundingStream, codeStream];
  assert.equal(all, [0, 1, 2, 3, 4, 5]);
});

test('the first noise is of stream 0, times the temperature; that of the steps of stream 1, for each picture', async () => {
  const [pictures, L, d, steps] = [2, 3, 4, 3];
  const seeds = [5, 2 ** 40 + 9];
  const workspace = new Workspace(device);
  const tokens = workspace.tensor('tokens', 'f32', [pictures * L, d]);
  const process = { prediction: 'v' as const, timesteps: 100 };
  const tables = new DiffusionTables(workspace, process, tokens, pictures, steps, true);
  const settings = { iterations: 1, steps, cfg: 1, cfg_schedule: 'linear', eta: 1, temperature: 0.5 } as const;
  await tables.begin(
    seeds.map((seed) => ({ seed })),
    settings,
  );
  /** Rows of one picture, each a quad. */
  const drawn = (seed: number, stream: number, rows: number): number[][] =>
    Array.from({ length: rows }, (_, row) => normals([row, stream, 0, 0], seedWords(seed)));
  const first = seeds.flatMap((seed) => drawn(seed, 0, L)).flat();
  close(
    await device.read(tables.noise),
    first.map((v) => 0.5 * v),
    2e-6,
  );
  const own = seeds.map((seed) => drawn(seed, 1, steps * L));
  const ofSteps = Array.from({ length: steps }, (_, step) =>
    own.flatMap((rows) => rows.slice(step * L, (step + 1) * L)),
  );
  close(await device.read(tables.of().stepNoise!), ofSteps.flat(2), 2e-6);
  // The tables of a number of steps are made when it changes.
  for (const n of [3, 2, 3]) {
    assert.is(tables.prepare(n, 1), true);
    assert.is(tables.prepare(n, 2), false);
    const want = samplerCoefficients('v', 100, n, 1, 0.5);
    close((await device.read(tables.of().coefficients)).subarray(0, 4 * n), want, 1e-6);
    const times = chosenTimes(100, n).reverse();
    assert.equal([...(await device.read(tables.t))].slice(0, n), times);
  }
  await workspace.release();
});

test('codes are drawn by stream 5', async () => {
  const model = await loadMMAR(nodePlatform.source(path.join('tests/golden', 'vq')), { device });
  const L = model.config.image_tokens;
  const draw = (chance: { seed: number } | { uniform: Float32Array }) => {
    const pictures = [{ order: permutation(L, 1), chance }];
    return model.drawTokens({ before: [5, 9], uncond: [5], pictures }, model.settings({ iterations: 4 }));
  };
  const { codes } = await draw({ seed: 4 });
  assert.equal(codes, (await draw({ uniform: uniformNumbers(L, 4, 5) })).codes);
  assert.not.equal(codes, (await draw({ uniform: uniformNumbers(L, 5, 5) })).codes);
  await model.close();
});

test.run();
