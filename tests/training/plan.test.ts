// What `mmar train --plan` says is what a run takes, to the byte.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MMARError } from '../../base/error.ts';
import { loadMMAR, readConfig } from '../../model/mmar.ts';
import { randomCheckpoint } from '../../model/random_weights.ts';
import type { Learn } from '../../training/learned.ts';
import { planTraining } from '../../training/plan.ts';
import { TrainingRun } from '../../training/run.ts';
import { trainingSettings } from '../../training/settings.ts';
import { device } from '../gpu.ts';
import { tiny, tokenizerTexts } from '../tiny.ts';

const words = ['red', 'a green circle'].map((text) => ({
  texts: [text],
  questions: [{ question: 'What is this?', answer: text }],
}));

/** Steps of the long case: `MMAR_STEPS=1000 node tests/run.mjs training/plan` for more. */
const many = Number(process.env.MMAR_STEPS ?? 50);

for (const [learn, precision, micro_batch, recompute, steps] of [
  ['all', 'f32', 2, false, 2],
  ['paper', 'bf16', 3, false, many],
  ['all', 'bf16', 2, true, 2],
] as [Learn, 'bf16' | 'f32', number, boolean, number][]) {
  test(`${learn} in ${precision}, ${micro_batch} at once${recompute ? ', recomputing' : ''}, ${steps} steps`, async () => {
    const checkpoint = randomCheckpoint(tiny, 'tiny', 1, tokenizerTexts),
      config = await readConfig(checkpoint),
      settings = trainingSettings({ steps, batch: 5, micro_batch, draws: 2 });
    const plan = await planTraining(checkpoint, config, words, settings, learn, { device, precision, recompute });
    const { memory } = device,
      before = memory.held;
    memory.peak = before;
    const model = await loadMMAR(checkpoint, { device, precision, learns: true }),
      { resolution } = config.image_tokenizer;
    const { tokens } = await model.encodePixels(new Float32Array(3 * resolution ** 2)),
      items = words.map((word) => ({ ...word, tokens }));
    const run = await TrainingRun.begin(model, { items }, settings, learn, recompute);
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

for (const precision of ['f32', 'bf16'] as const) {
  test(`recomputing learns the same bits in ${precision}`, async () => {
    const learned: Float32Array[] = [];
    for (const recompute of [false, true]) {
      const model = await loadMMAR(randomCheckpoint(tiny, 'tiny', 1, tokenizerTexts), {
          device,
          precision,
          learns: true,
        }),
        settings = trainingSettings({ steps: 2, batch: 5, micro_batch: 3, draws: 2 }),
        { image_tokens, image_tokenizer } = model.config,
        tokens = Float32Array.from({ length: image_tokens * image_tokenizer.embed_dim }, (_, i) => Math.sin(i));
      const items = words.map((word) => ({ ...word, tokens })),
        run = await TrainingRun.begin(model, { items }, settings, 'all', recompute);
      for await (const { loss } of run.steps(() => false)) assert.ok(loss > 0);
      for (const { master } of run.optimiser.states) learned.push(new Float32Array(await device.readRows(master)));
      await run.release();
      await model.close();
    }
    const tensors = learned.length / 2;
    for (let i = 0; i < tensors; i++) assert.equal(learned[i], learned[tensors + i], `tensor ${i}`);
  });
}

test('a model that is far too large for this machine is planned, too', async () => {
  const checkpoint = randomCheckpoint(
      JSON.parse(fs.readFileSync('configs/mmar-0.5b.json', 'utf8')),
      '0.5b',
      1,
      tokenizerTexts,
    ),
    settings = trainingSettings({ steps: 1, batch: 1, draws: 1 });
  const config = await readConfig(checkpoint),
    plan = await planTraining(checkpoint, config, words, settings, 'paper'),
    less = await planTraining(checkpoint, config, words, settings, 'paper', { recompute: true });
  assert.ok(plan.learned > 500e6 && plan.learned < 650e6, `${plan.learned} learn`);
  assert.ok(plan.peak > plan.weights + 16 * plan.learned, `${plan.peak} at the peak`);
  assert.ok(4 * less.activations < plan.activations, `${less.activations} of ${plan.activations} with recomputing`);
  const wide = trainingSettings({
    steps: 1,
    batch: 8,
    micro_batch: 8,
    conditional: 1,
    understanding: 0,
    unconditional: 0,
  });
  await planTraining(checkpoint, config, words, wide, 'paper').then(
    () => assert.unreachable('took more than WebGPU guarantees to bind'),
    (error: MMARError) => assert.match(error.message, /MB and this adapter binds 134\.2 MB at once.*--micro-batch/),
  );
});

test.run();
