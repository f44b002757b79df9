// An adapter that offers no feature and no more than WebGPU guarantees: it draws, reads and learns the same bits as a better one.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Device } from '../../engine/device.ts';
import { guaranteed } from '../../engine/dry.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { randomCheckpoint } from '../../model/random_weights.ts';
import { nodeAdapter } from '../../platform/node_gpu.ts';
import { TrainingRun } from '../../training/run.ts';
import { trainingSettings } from '../../training/settings.ts';
import { tiny, tokenizerTexts } from '../tiny.ts';

const hardware = async (least: boolean): Promise<Device> => {
  const { adapter } = await nodeAdapter(),
    requestDevice = adapter.requestDevice.bind(adapter),
    offered = { features: new Set(), limits: guaranteed, info: adapter.info, requestDevice } as unknown as GPUAdapter;
  return Device.open(least ? offered : adapter, { kind: 'hardware' });
};

test('the least adapter draws, reads and learns as any other', async () => {
  const devices = [await hardware(true), await hardware(false)];
  assert.is(devices[0].gpu.limits.maxComputeWorkgroupStorageSize, 16384);
  assert.not.ok(devices[0].gpu.features.has('shader-f16'));
  const results = [];
  for (const device of devices) {
    const model = await loadMMAR(randomCheckpoint(tiny, 'tiny', 1, tokenizerTexts), { device, learns: true });
    const { tokens, picture } = await model.generate({ prompt: 'red apple', seed: 1, iterations: 2, steps: 3 }),
      { text } = await model.describe({ image: picture, max_new_tokens: 4 });
    const settings = trainingSettings({
        steps: 2,
        batch: 2,
        micro_batch: 2,
        conditional: 0.5,
        understanding: 0.5,
        unconditional: 0,
      }),
      item = { tokens, texts: ['red apple'], questions: [{ question: 'What is this?', answer: 'red apple' }] },
      run = await TrainingRun.begin(model, { items: [item] }, settings, 'paper'),
      losses: number[] = [];
    for await (const { loss } of run.steps(() => false)) losses.push(loss);
    results.push({ tokens, text, losses });
    await run.release();
    await model.close();
  }
  assert.ok(results[0].losses.every((loss) => loss > 0));
  assert.equal(results[0], results[1]);
});

test.run();
