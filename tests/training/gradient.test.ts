// The whole gradient of a tiny model against central differences of its own f32 loss.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Tensor } from '../../engine/tensor.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { randomCheckpoint } from '../../model/random_weights.ts';
import { Batches } from '../../training/batch.ts';
import { drawExample, drawNoise } from '../../training/examples.ts';
import { graphOf } from '../../training/graph_of.ts';
import { chooseLearned } from '../../training/learned.ts';
import { Optimiser } from '../../training/optimiser.ts';
import { Draws } from '../../training/random.ts';
import { trainingSettings } from '../../training/settings.ts';
import { Trainer } from '../../training/trainer.ts';
import { device } from '../gpu.ts';
import { tiny, tokenizerTexts } from '../tiny.ts';

test('along random directions the loss changes as the gradient says', async () => {
  const model = await loadMMAR(randomCheckpoint(tiny, 'tiny', 1, tokenizerTexts), {
      device,
      precision: 'f32',
      learns: true,
    }),
    { system } = model,
    { config } = system,
    settings = trainingSettings({ batch: 4, micro_batch: 4, draws: 2 }),
    items = ['red', 'a green circle'].map((text, i) => ({
      tokens: drawNoise(1, 0, i, config.image_tokens * config.image_tokenizer.embed_dim),
      texts: [text],
      questions: [{ question: 'What is this?', answer: text }],
    }));
  const batches = new Batches(settings, config, await model.tokenizer(), { items }),
    examples = Array.from({ length: 4 }, (_, i) => {
      const reads = i % 2;
      return drawExample(
        { ...settings, understanding: reads, conditional: 1 - reads, unconditional: 0 },
        { items },
        0,
        i,
      );
    }),
    batch = batches.of(examples, 0);
  const optimiser = new Optimiser(device, chooseLearned(system.weights, 'all', config), settings),
    trainer = new Trainer(device, await graphOf(device, system, settings.draws), optimiser, batches, 1);
  await trainer.gradients(batch);
  const values = (t: Tensor) => device.readRows(t).then((bytes) => new Float32Array(bytes)),
    lossAt = async (): Promise<number> => {
      const { loss_image, loss_text } = await trainer.losses(batch);
      return loss_image + loss_text;
    };
  let compared = 0;
  for (const [i, { tensor, gradient }] of optimiser.states.entries()) {
    const weights = await values(tensor),
      slope = await values(gradient),
      norm = Math.hypot(...slope);
    if (norm < 1e-3) continue; // the loss itself is rounded to some 1e-6
    // Half along the gradient, so that the difference stands out of the loss's rounding; half anywhere.
    const draws = new Draws(7, 0, 'weights', i),
      direction = slope.map((g) => g / norm + (g ? draws.normal() / Math.sqrt(slope.length) : 0)),
      step = Math.min(0.02, 2e-3 / norm);
    const moved = async (by: number): Promise<number> => {
      device.write(tensor, new Uint8Array(weights.map((w, k) => w + by * direction[k]).buffer));
      return lossAt();
    };
    const difference = ((await moved(step)) - (await moved(-step))) / (2 * step),
      said = slope.reduce((sum, g, k) => sum + g * direction[k], 0);
    device.write(tensor, new Uint8Array(weights.buffer));
    assert.ok(
      Math.abs(difference - said) < 0.03 * Math.abs(said) + 2e-3,
      `${tensor.name}: ${difference} by differences, ${said} by the gradient`,
    );
    compared++;
  }
  assert.ok(compared > 0.7 * optimiser.states.length, `${compared} of ${optimiser.states.length} tensors`);
  await trainer.release();
  await optimiser.release();
  await model.close();
});

test.run();
