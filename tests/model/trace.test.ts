// What a trace asks of its inputs and settings, and what it computes where a setting is not given.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTensors } from '../../cli/files.ts';
import { loadMMAR, type MMAR } from '../../model/mmar.ts';
import type { TraceTensors } from '../../model/trace.ts';
import { nodePlatform } from '../../platform/node.ts';
import { device, refused } from '../gpu.ts';

const place = 'tests/golden/plain';
let model: MMAR;
let inputs: TraceTensors;
test.before(async () => {
  model = await loadMMAR(nodePlatform.source(place), { device, precision: 'f32' });
  inputs = (await readTensors(`${place}/cases/generate.safetensors`)).tensors;
});
test.after(() => model.close());

const given = (name: string, shape: number[], value = 0): TraceTensors => {
  const count = shape.reduce((a, b) => a * b, 1);
  return new Map([[name, { shape, values: new Float32Array(count).fill(value) }]]);
};

test('inputs that are missing or of another shape, ids of none, parts that there are not, settings that are no numbers', async () => {
  const [L, d] = model.system.imageShape;
  const message = (part: string, tensors: TraceTensors, settings = {}) =>
    refused(() => model.trace(part, tensors, settings), 'usage');
  assert.match(await message('decode', given('x', [L, d])), /needs the input tokens; the file has x/);
  assert.match(await message('decode', given('tokens', [d, L])), /tokens is \[\d+, \d+\]; want \[\d+, \d+\]/);
  const { vocab_size } = model.config.llm;
  assert.match(await message('text', given('before', [3], vocab_size)), new RegExp(`the id ${vocab_size}; want ids`));
  for (const id of [-1, 0.5]) assert.match(await message('text', given('before', [3], id)), /want ids from 0/);
  assert.match(await message('text', given('before', [0])), /before is empty/);
  assert.match(await message('denoise', new Map()), /variant mmar has no part "denoise"; give one of/);
  assert.match(await message('toString', new Map()), /no part "toString"/);
  for (const steps of ['', 'many', 'Infinity'])
    assert.match(await message('generate', inputs, { steps }), /steps is .*; give a number/);
  const { held } = device.memory;
  await message('generate', inputs, { eta: '2' });
  assert.is(device.memory.held, held);
});

test('a drawing whose settings are not given has no guidance, noise or schedule', async () => {
  const tokens = async (settings: Record<string, string>) =>
    (await model.trace('generate', inputs, { iterations: '2', steps: '3', ...settings })).get('tokens')!.values;
  const plain = { cfg: '1', cfg_schedule: 'constant', eta: '0', temperature: '1' };
  assert.equal(await tokens({}), await tokens(plain));
  assert.not.equal(await tokens({ cfg: '3' }), await tokens(plain));
});

test.run();
