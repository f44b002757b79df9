// What `mmar train --plan` says is what a run takes, to the byte.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadMMAR, readConfig } from '../../model/mmar.ts';
import { randomCheckpoint } from '../../model/random_weights.ts';
import type { Learn } from '../../training/learned.ts';
import { planTraining } from '../../training/plan.ts';
import { TrainingRun } from '../../training/run.ts';
import { trainingSettings } from '../../training/settings.ts';
import { device } from '../gpu.ts';

const words = ['red', 'a green circle'].map((text) => ({
  texts: [text],
  questions: [{ question: 'What is this?', answer: text }],
}));

const tiny = JSON.parse(fs.readFileSync('tests/training/tiny.json', 'utf8')) as unknown,
  texts = ['tokenizer.json', 'tokenizer_config.json'].map(
    (file) => [file, fs.readFileSync(`checkpoints/emoji/${file}`, 'utf8')] as const,
  );

for (const [learn, precision, micro_batch] of [
  ['all', 'f32', 2],
  ['paper', 'bf16', 3],
] as [Learn, 'bf16' | 'f32', number][]) {
  test(`${learn} in ${precision}, ${micro_batch} at once`, async () => {
    const checkpoint = randomCheckpoint(tiny, 'tiny', 1, texts),
      config = await readConfig(checkpoint),
      settings = trainingSettings({ steps: 2, batch: 5, micro_batch, draws: 2 });
    const plan = await planTraining(checkpoint, config, words, settings, learn, { device, precision });
    const { memory } = device,
      before = memory.held;
    memory.peak = before;
    const model = await loadMMAR(checkpoint, { device, precision, learns: true }),
      { resolution } = config.image_tokenizer;
    const { tokens } = await model.encodePixels(new Float32Array(3 * resolution ** 2)),
      items = words.map((word) => ({ ...word, tokens }));
    const run = await TrainingRun.begin(model, { items }, settings, learn);
    for await (const { loss } of run.steps(() => false)) assert.ok(loss > 0);
    const { peak } = memory;
    await run.release();
    await model.close();
    memory.trim();
    assert.is(memory.held, before);
    assert.is(plan.peak, peak - before);
    assert.is(plan.moments, 2 * plan.gradients);
    assert.is(plan.masters, precision === 'bf16' ? plan.gradients : 0);
    assert.ok(plan.activations > 0 && 4 * plan.learned <= plan.gradients);
  });
}

test('a model that is far too large for this machine is planned, too', async () => {
  const checkpoint = randomCheckpoint(JSON.parse(fs.readFileSync('configs/mmar-0.5b.json', 'utf8')), '0.5b', 1, texts),
    settings = trainingSettings({ steps: 1, batch: 1, draws: 1 });
  const plan = await planTraining(checkpoint, await readConfig(checkpoint), words, settings, 'paper');
  assert.ok(plan.learned > 500e6 && plan.learned < 650e6, `${plan.learned} learn`);
  assert.ok(plan.peak > plan.weights + 16 * plan.learned, `${plan.peak} at the peak`);
});

test.run();
