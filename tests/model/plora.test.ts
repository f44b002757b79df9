// PLoRA merged at load: what it takes, that text keeps W, when it is not done, and that nothing learns from it.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { namedConfig } from '../../bench/configs.ts';
import { readTensors } from '../../cli/files.ts';
import { openCheckpoint } from '../../loaders/checkpoint.ts';
import { parseConfig } from '../../model/config.ts';
import { loadMMAR, readConfig } from '../../model/mmar.ts';
import { planMemory } from '../../model/plan.ts';
import { type PLoRA, ploraOf } from '../../model/system.ts';
import { systemOf } from '../../model/variants/index.ts';
import { Weights } from '../../model/weights.ts';
import { nodePlatform } from '../../platform/node.ts';
import { chooseLearned } from '../../training/learned.ts';
import { device, refused, relativeRms } from '../gpu.ts';

const golden = (folder: string) => nodePlatform.source(`tests/golden/${folder}`);
const load = (plora?: PLoRA, available?: number) => loadMMAR(golden('plain'), { device, plora, available });

/** The LLM's hidden states of the golden cases: of a text alone, and with an image. */
async function hiddenStates(plora: PLoRA): Promise<Record<'text' | 'hidden', number[]>> {
  const model = await load(plora);
  const states = async (part: string): Promise<number[]> => {
    const { tensors, metadata } = await readTensors(`tests/golden/plain/cases/${part}.safetensors`);
    return Array.from((await model.trace(part, tensors, metadata)).get('hidden')!.values);
  };
  const found = { text: await states('text'), hidden: await states('hidden') };
  await model.close();
  return found;
}

test('image tokens meet the merged matrices, text W as it was', async () => {
  const merged = await hiddenStates('merged'),
    separate = await hiddenStates('separate');
  assert.equal(merged.text, separate.text);
  assert.not.equal(merged.hidden, separate.hidden);
  assert.ok(relativeRms(merged.hidden, separate.hidden) < 0.01);
});

test('A and B go as the merged matrices come, a layer at a time; the plan says so', async () => {
  const checkpoint = await openCheckpoint(golden('plain')),
    config = await readConfig(checkpoint);
  const separate = await planMemory(checkpoint, config, { device, plora: 'separate' }),
    plan = await planMemory(checkpoint, config, { device });
  const matrices = [...checkpoint.tensors.values()].map(({ entry }) => entry);
  const bytes = (wanted: RegExp) => matrices.reduce((sum, e) => sum + (wanted.test(e.name) ? e.bytes : 0), 0);
  const added = bytes(/llm\..*_proj\.weight$/),
    gone = bytes(/lora_[AB]\.weight$/);
  assert.is(plan.plora, 'merged');
  assert.is(plan.weights - separate.weights, added - gone);
  const before = device.memory.held,
    model = await load();
  const { weights, held } = await model.memory();
  assert.is(weights, model.system.weights.bytes);
  assert.is(held - before, plan.weights);
  const largest = Math.max(...model.system.weights.tensors.map((tensor) => tensor.bytes));
  assert.ok(plan.drawingPeak < separate.drawingPeak + Math.max(0, added - gone) + 2 * largest);
  await refused(async () => chooseLearned(model.system.weights, 'paper', model.config), 'usage');
  await model.close();
  assert.is(device.memory.held, before);
  await checkpoint.source.close();
});

test('free memory does not change how pictures are drawn: what does not fit is an error with a remedy', async () => {
  const checkpoint = await openCheckpoint(golden('plain')),
    config = await readConfig(checkpoint);
  const [merged, separate] = [
    await planMemory(checkpoint, config, { device }),
    await planMemory(checkpoint, config, { device, plora: 'separate' }),
  ];
  const least = Math.min(merged.drawingPeak, separate.drawingPeak) + 256 * 2 ** 20;
  assert.ok(separate.drawingPeak < merged.drawingPeak);
  for (const asked of ['merged', undefined] as const)
    assert.match(await refused(() => load(asked, least), 'adapter'), '--plora separate');
  const model = await load('separate', least);
  assert.not(model.system.weights.merged);
  await model.close();
  await checkpoint.source.close();
});

test('f32, learning and codes keep A and B', async () => {
  const cases = [
    [golden('plain'), { precision: 'f32' }],
    [golden('plain'), { learns: true }],
    [golden('vq'), {}],
  ] as const;
  for (const [from, options] of cases) {
    const model = await loadMMAR(from, { device, ...options });
    assert.not(model.system.weights.merged);
    await model.close();
  }
  await refused(() => loadMMAR(golden('plain'), { device, precision: 'f32', plora: 'merged' }), 'usage');
  await refused(() => loadMMAR(golden('plain'), { device, learns: true, plora: 'merged' }), 'usage');
});

test('where it would take much memory, A and B stay unless asked', () => {
  const of = (name: string) => systemOf(new Weights('bf16', 'bf16', Infinity), parseConfig(namedConfig(name), name));
  assert.is(ploraOf(of('mmar-0.5b'), undefined), 'merged');
  assert.is(ploraOf(of('mmar-7b'), undefined), 'separate');
  assert.is(ploraOf(of('mmar-7b'), 'merged'), 'merged');
});

test.run();
