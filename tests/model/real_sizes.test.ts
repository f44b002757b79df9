// What true sizes ask for, with tiny models: the plan is what a run takes, tensors over the binding limit give the same
// bits, parts compose, random weights depend on seed and name alone.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import type { Device } from '../../engine/device.ts';
import { dryDevice } from '../../engine/dry.ts';
import { Checkpoint, openCheckpoint } from '../../loaders/checkpoint.ts';
import { compose } from '../../loaders/compose.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { type DType, safetensorsBytes, type TensorData } from '../../loaders/safetensors.ts';
import { loadWeights } from '../../model/load_weights.ts';
import { loadMMAR, readConfig } from '../../model/mmar.ts';
import { withSettings } from '../../model/overrides.ts';
import { planMemory } from '../../model/plan.ts';
import { declaredTensors, RandomTensor, shardsOf } from '../../model/random_weights.ts';
import { loadQwen2 } from '../../model/text_model.ts';
import { planSystem } from '../../model/variants/index.ts';
import { nodePlatform } from '../../platform/node.ts';
import { permutation } from '../../shaders/random.ts';
import { device, smallDevice } from '../gpu.ts';

const llm = {
  model_type: 'qwen2',
  hidden_size: 56,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 400,
  vocab_size: 1030,
  rms_norm_eps: 1e-6,
  rope_theta: 1e6,
  tie_word_embeddings: true,
  max_position_embeddings: 512,
};
const config = {
  model_type: 'mmar',
  image_tokens: 16,
  image_tokenizer: {
    type: 'kl',
    in_channels: 3,
    resolution: 16,
    ch: 8,
    ch_mult: [1, 2, 2],
    num_res_blocks: 1,
    attn_resolutions: [4],
    z_channels: 4,
    embed_dim: 4,
    scaling_factor: 0.5,
    norm_groups: 4,
  },
  embedding_vit: { depth: 2, width: 24, heads: 2, mlp_ratio: 4 },
  plora: { rank: 7, alpha: 8 },
  llm,
  diffusion: { depth: 2, width: 40, mlp_ratio: 4, prediction: 'v', timesteps: 1000 },
};
const tokenizerFiles = ['tokenizer.json', 'tokenizer_config.json'];
const carried = nodePlatform.source('checkpoints/emoji');

/** Random tensors of these shapes as a file; `rename` gives their names in it. */
function weights(
  tensors: Map<string, number[]>,
  seed: number,
  rename = (name: string) => name,
  dtype: DType = 'BF16',
): Uint8Array {
  const data = [...tensors].map(([name, shape]): TensorData => {
    const bits = new Uint16Array(shape.reduce((a, b) => a * b, 1));
    new RandomTensor(name, shape, seed).fill(0, bits);
    const floats = () => new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);
    return { name: rename(name), dtype, shape, data: dtype === 'F32' ? floats() : bits };
  });
  return safetensorsBytes(data);
}

async function checkpointOf(json: object, seed = 1, dtype: DType = 'BF16', name = 'tiny'): Promise<Checkpoint> {
  const files = new Map<string, Uint8Array>([
    ['config.json', new TextEncoder().encode(JSON.stringify(json))],
    ['model.safetensors', weights(declaredTensors(json, name), seed, undefined, dtype)],
  ]);
  for (const file of tokenizerFiles) {
    const bytes = new Uint8Array((await carried.size(file))!);
    await carried.read(file, 0, bytes);
    files.set(file, bytes);
  }
  return openCheckpoint(memorySource(name, files));
}

async function refuses(step: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error: unknown = await step.then(
    () => assert.unreachable('took it'),
    (error: unknown) => error,
  );
  assert.instance(error, MMARError, String(error));
  assert.is((error as MMARError).code, code);
  assert.match((error as MMARError).message, message);
}

const settings = { iterations: 5, steps: 6, cfg: 2, cfg_schedule: 'linear' as const, eta: 0, temperature: 1 };

async function drawAndRead(
  on: Device,
  from: Checkpoint,
): Promise<{ tokens: Float32Array; pixels: Float32Array; ids: number[]; memory: { weights: number; peak: number } }> {
  const model = await loadMMAR(from, { device: on }),
    before = [5, 9, 1029, 700, 3],
    input = { before, uncond: [5, 3], pictures: [{ order: permutation(16, 3), chance: { seed: 4 } }] };
  let tokens = new Float32Array();
  for await (const step of model.draw(input, settings)) if (step.known === step.total) tokens = await step.tokens();
  const pixels = await model.decodePixels(tokens),
    ids: number[] = [];
  for await (const id of model.read(
    { before, tokens, after: [7, 8, 1028] },
    { temperature: 0, top_p: 1, seed: 0, max_new_tokens: 6, eosIds: [] },
  ))
    ids.push(id);
  const memory = await model.memory();
  await model.close();
  return { tokens, pixels, ids, memory };
}

test('tensors in pieces give the same bits', async () => {
  const whole = await drawAndRead(device, await checkpointOf(config));
  assert.ok(whole.tokens.some((x) => x !== 0) && whole.tokens.every(Number.isFinite));
  const small = await smallDevice(1 << 16),
    from = await checkpointOf(config);
  const split = planSystem(from, await readConfig(from), 'bf16', small.maxBinding)
    .weights.tensors.filter(({ pieces }) => pieces.length > 1)
    .map(({ name }) => name);
  for (const name of ['llm.model.embed_tokens.weight', 'mlp.gate_proj+'])
    assert.ok(
      split.some((found) => found.includes(name)),
      `${name} is not split: ${split}`,
    );
  const pieces = await drawAndRead(small, from);
  assert.equal([pieces.ids, pieces.tokens, pieces.pixels], [whole.ids, whole.tokens, whole.pixels]);
  small.destroy();
});

test('F32 weights are rounded to bf16 on the way: the same bits, and untied heads', async () => {
  const untied = { ...config, llm: { ...llm, tie_word_embeddings: false } };
  const [a, b] = [
    await drawAndRead(device, await checkpointOf(untied)),
    await drawAndRead(device, await checkpointOf(untied, 1, 'F32')),
  ];
  assert.equal([a.ids, a.tokens], [b.ids, b.tokens]);
});

test('long prompts go in several passes, with the same result', async () => {
  const small = await smallDevice(1 << 16),
    from = await checkpointOf(config),
    ids: number[][] = [];
  for (const on of [device, small]) {
    const model = await loadQwen2(from, { device: on }),
      got: number[] = [];
    if (on === small) assert.ok(model.llm.passes(on, 200).length > 1);
    for await (const id of model.complete(
      Array.from({ length: 200 }, (_, i) => (i * 37) % 1030),
      { max_new_tokens: 5 },
    ))
      got.push(id);
    ids.push(got);
    await model.close();
  }
  assert.equal(ids[0], ids[1]);
  small.destroy();
});

test('as many pictures are drawn at once as the adapter can bind rows of, and more are refused with that number', async () => {
  const small = await smallDevice(1 << 18),
    model = await loadMMAR(await checkpointOf(config), { device: small }),
    most = Math.floor(model.system.llm.mostRows(small) / (2 * model.config.image_tokens)),
    pictures = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ order: permutation(16, i), chance: { seed: i } })),
    draw = async (count: number) => {
      for await (const step of model.draw({ before: [5, 9, 700], uncond: [5], pictures: pictures(count) }, settings))
        return step.pictures.length;
    };
  assert.ok(most > 1);
  assert.is(await draw(most), most);
  await refuses(draw(most + 1), 'adapter', new RegExp(`^${most + 1} pictures at once .* draw at most ${most} at once`));
  await model.close();
  small.destroy();
});

test('the plan is what a run takes', async () => {
  const on = await smallDevice(1 << 16),
    from = await checkpointOf(config);
  const plan = await planMemory(from, await readConfig(from), { device: on, settings, textTokens: 20 });
  assert.ok(plan.weights > 0 && plan.drawing.caches > 0 && plan.drawing.work > 0 && plan.split.length > 0);
  const { memory } = await drawAndRead(on, from);
  assert.ok(Math.abs(memory.peak - plan.peak) < 0.05 * plan.peak, `planned ${plan.peak}, took ${memory.peak}`);
  on.destroy();
});

test('a model that does not fit is refused before anything is loaded, with the numbers and the choices', async () => {
  const from = await checkpointOf(config),
    held = device.memory.held;
  await refuses(
    loadMMAR(from, { device, available: 1e6 }),
    'adapter',
    /^tiny needs .+ on the device \(weights .+, caches .+, work buffers .+\), but 1\.0 MB are free; choose .*a smaller model.*--set/,
  );
  await refuses(loadQwen2(from, { device, available: 1e3 }), 'adapter', /weights take .+ are free/);
  assert.is(device.memory.held, held);
});

test('a device that runs out of memory while the weights get theirs gives it all back', async () => {
  const { device: dry, held } = dryDevice(undefined, { capacity: 100_000 }),
    from = await checkpointOf(config);
  const parts = planSystem(from, await readConfig(from), 'bf16');
  await refuses(loadWeights(dry, parts.weights, from), 'adapter', /no memory for .+ of weights; choose .*--set/);
  parts.weights.release(dry);
  assert.equal([held(/./), dry.memory.held], [0, 0]);
});

test('a load that is cancelled or fails leaves nothing on the device', async () => {
  const from = await checkpointOf(config),
    held = device.memory.held,
    controller = new AbortController();
  await refuses(
    loadMMAR(from, { device, signal: controller.signal, onProgress: () => controller.abort() }),
    'cancelled',
    /cancelled/,
  );
  const broken = new Checkpoint(
    from.source,
    new Map(
      [...from.tensors].map(([name, place]) => [
        name,
        {
          ...place,
          source: { ...place.source, read: () => Promise.reject(new MMARError('file', 'the shard vanished')) },
        },
      ]),
    ),
  );
  await refuses(loadMMAR(broken, { device }), 'file', /vanished/);
  assert.is(device.memory.held, held);
  device.check();
});

test('random weights: by seed, name and index, whatever the shards', () => {
  const whole = new Uint16Array(1000),
    parts = new Uint16Array(1000),
    bits = (name: string, seed: number) => {
      new RandomTensor(name, [10, 100], seed).fill(0, whole);
      return whole.slice();
    };
  const a = bits('a.weight', 1);
  for (let i = 0; i < 1000; i += 250) new RandomTensor('a.weight', [10, 100], 1).fill(i, parts.subarray(i, i + 250));
  assert.equal(parts, a);
  assert.not.equal(bits('b.weight', 1), a);
  assert.not.equal(bits('a.weight', 2), a);
  const values = new Float32Array(Uint32Array.from(bits('a.weight', 1), (b) => b << 16).buffer),
    mean = values.reduce((s, x) => s + x, 0) / 1000;
  const std = Math.sqrt(values.reduce((s, x) => s + x * x, 0) / 1000);
  assert.ok(Math.abs(mean) < 0.01 && Math.abs(std - 0.1) < 0.01, `mean ${mean}, std ${std}`);
  const tensors = declaredTensors(config, 'tiny'),
    names = (shardBytes: number) =>
      shardsOf(tensors, shardBytes)
        .flat()
        .map(({ name }) => name);
  assert.equal(names(1), [...tensors.keys()]);
  assert.equal(names(1e9), names(1));
  assert.is(shardsOf(tensors, 1e9).length, 1);
});

test('settings: values, and keys that are not there', async () => {
  const json = { a: { b: 1, c: 'x' }, llm: {} };
  assert.equal(withSettings(json, { 'a.b': '2', 'a.c': 'word', 'llm.tie_word_embeddings': 'true' }), {
    a: { b: 2, c: 'word' },
    llm: { tie_word_embeddings: true },
  });
  for (const key of ['a.d', 'x.y', 'a', 'a.b.c', '__proto__.x', 'constructor.name']) {
    if (key !== 'a') await refuses((async () => withSettings(json, { [key]: '1' }))(), 'usage', /the config has no/);
  }
});

test('fewer layers of a checkpoint', async () => {
  const from = await checkpointOf(config),
    fewer = await compose(from, { config: (json) => withSettings(json, { 'llm.num_hidden_layers': '1' }) });
  const parts = planSystem(fewer, await readConfig(fewer), 'bf16'),
    { missing, wrong, unexpected } = parts.weights.compare(fewer);
  assert.equal([missing, wrong], [[], []]);
  assert.ok(unexpected.length > 0 && unexpected.every((name) => name.includes('layers.1.')));
});

test('a plain Qwen2 folder as the text model, and alone', async () => {
  const base = await checkpointOf(config, 1),
    text = new Map(
      [...declaredTensors(config, '')].filter(([name]) => name.startsWith('llm.') && !name.includes('lora')),
    );
  const plain = await openCheckpoint(
    memorySource(
      'qwen',
      new Map<string, Uint8Array>([
        ['config.json', new TextEncoder().encode(JSON.stringify(llm))],
        ['model.safetensors', weights(text, 1, (name) => name.slice(4))],
        ['generation_config.json', new TextEncoder().encode('{"eos_token_id": [3]}')],
        ...(await Promise.all(
          tokenizerFiles.map(
            async (file): Promise<[string, Uint8Array]> => [file, new TextEncoder().encode(await base.text(file))],
          ),
        )),
      ]),
    ),
  );
  const other = await checkpointOf(config, 2),
    composed = await compose(other, { llm: plain });
  assert.is(composed.place('llm.model.norm.weight').source, plain.source);
  assert.is(composed.place('llm.model.layers.0.mlp.up_proj.lora_A.weight').source, other.source);
  assert.equal(await composed.json('generation_config.json'), { eos_token_id: [3] });
  const parts = planSystem(composed, await readConfig(composed), 'bf16'),
    found = parts.weights.compare(composed);
  assert.equal([found.missing, found.wrong, found.unexpected], [[], [], []]);

  const answers: number[][] = [],
    prompt = [1, 2, 3, 4, 500, 6];
  for (const from of [base, plain]) {
    // the same text model, within an MMAR checkpoint and alone
    const model = await loadQwen2(from, { device }),
      first: number[] = [],
      second: number[] = [],
      again: number[] = [];
    for await (const id of model.complete(prompt, { max_new_tokens: 6 })) first.push(id);
    const next = [...prompt, ...first, 10, 11];
    for await (const id of model.complete(next, { max_new_tokens: 6 })) second.push(id); // what was said before is in the cache
    await model.close();
    const fresh = await loadQwen2(from, { device });
    for await (const id of fresh.complete(next, { max_new_tokens: 6 })) again.push(id);
    await fresh.close();
    assert.equal(second, again, 'with and without the cache');
    answers.push(first);
  }
  assert.equal(answers[0], answers[1]);
  await refuses(compose(other, { llm: base }), 'checkpoint', /is an MMAR checkpoint/);
});

test('an autoencoder file, with and without its prefix, and one that is none', async () => {
  const base = await checkpointOf(config, 1),
    own = new Map([...declaredTensors(config, '')].filter(([name]) => name.startsWith('image_tokenizer.')));
  for (const prefix of ['', 'first_stage_model.']) {
    const source = memorySource(
      'vae',
      new Map([['kl16.safetensors', weights(own, 9, (name) => name.replace('image_tokenizer.', prefix))]]),
    );
    const composed = await compose(base, { vae: { source, file: 'kl16.safetensors' } }),
      found = planSystem(composed, await readConfig(composed), 'bf16').weights.compare(composed);
    assert.equal([found.missing, found.wrong, found.unexpected], [[], [], []]);
    assert.is(composed.place('image_tokenizer.decoder.conv_in.weight').source, source);
  }
  const other = memorySource('vae', new Map([['x.safetensors', weights(new Map([['model.weight', [2]]]), 1)]]));
  await refuses(
    compose(base, { vae: { source: other, file: 'x.safetensors' } }),
    'checkpoint',
    /has no encoder\.conv_in\.weight \(its first tensor is model\.weight\); give an LDM or MAR KL-16/,
  );
});

test.run();
