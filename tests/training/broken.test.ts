// What breaks a run is named, and what was saved before stays as it was.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MMARError } from '../../base/error.ts';
import { TrainingFolder } from '../../cli/training_files.ts';
import type { Device } from '../../engine/device.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { randomCheckpoint } from '../../model/random_weights.ts';
import { drawNoise } from '../../training/examples.ts';
import { TrainingRun } from '../../training/run.ts';
import { trainingSettings } from '../../training/settings.ts';
import { smallDevice } from '../gpu.ts';
import { tiny, tokenizerTexts } from '../tiny.ts';

/** A run that was saved behind its first step and then broken: what the next steps and the next save say. */
async function broken(breaks: (device: Device, run: TrainingRun) => Promise<void>, lr = 1e-3) {
  const device = await smallDevice(Infinity),
    checkpoint = randomCheckpoint(tiny, 'tiny', 1, tokenizerTexts),
    model = await loadMMAR(checkpoint, { device, learns: true }),
    tokens = drawNoise(1, 0, 0, model.config.image_tokens * model.config.image_tokenizer.embed_dim),
    words = { texts: ['red'], questions: [{ question: 'What is this?', answer: 'red' }] };
  const settings = trainingSettings({ steps: 4, batch: 2, micro_batch: 1, draws: 1, warmup: 0, lr }),
    run = await TrainingRun.begin(model, { items: [{ ...words, tokens }] }, settings, 'paper'),
    at = fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-test-')),
    folder = new TrainingFolder(at),
    save = () => folder.save(device, run, '{}', 'patch', checkpoint, []),
    files = () => ['state', 'patch'].map((name) => fs.readFileSync(path.join(at, `${name}.safetensors`)));
  let saved: Buffer[] | undefined;
  const going = async () => {
    for await (const { step } of run.steps(() => true)) {
      if (step > 1) continue;
      await save();
      saved = files();
      await breaks(device, run);
    }
  };
  const failure = (work: () => Promise<unknown>) =>
    work().then(
      () => undefined,
      (error: MMARError) => error,
    );
  const stopped = await failure(going),
    refused = await failure(save);
  assert.equal(files(), saved);
  assert.equal(fs.readdirSync(at).sort(), ['patch.safetensors', 'state.safetensors']);
  fs.rmSync(at, { recursive: true });
  device.destroy();
  return { stopped, refused };
}

test('a lost device', async () => {
  const { stopped, refused } = await broken(async ({ gpu }) => {
    gpu.destroy(); // as the system may do at any time
    await gpu.lost;
  });
  for (const error of [stopped, refused]) {
    assert.is(error?.code, 'device');
    assert.match(error!.message, /lost .*load the model again/);
  }
});

test('a weight that is no number is never saved', async () => {
  const { stopped, refused } = await broken(async (device, { optimiser }) => {
    const { master } = optimiser.states[0];
    device.write(master, new Uint8Array(new Float32Array(master.rows * master.pitch).fill(Number.NaN).buffer));
  });
  assert.is(stopped?.code ?? 'device', 'device');
  assert.is(refused?.code, 'device');
  assert.match(refused!.message, /holds NaN, which is not saved; resume from the last save/);
});

test.run();
