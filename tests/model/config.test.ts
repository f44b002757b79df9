// config.json: every field has a bad value that is refused by name, and so is what would change the mathematics.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { parseConfig } from '../../model/config.ts';
import { withSettings } from '../../model/overrides.ts';

type JSONObject = { [key: string]: unknown };
const parse = (text: string): JSONObject => JSON.parse(text) as JSONObject;
const read = (folder: string): JSONObject => parse(fs.readFileSync(`${folder}/config.json`, 'utf8'));
const variants = {
  mmar: read('checkpoints/emoji'),
  vq: read('tests/golden/vq'),
  transfusion: read('tests/golden/transfusion'),
};

/** The config with one key set, though it has none of that name. */
function changed(config: JSONObject, key: string, value: unknown): JSONObject {
  const copy = structuredClone(config),
    path = key.split('.'),
    last = path.pop()!;
  let at = copy;
  for (const name of path) at = at[name] as JSONObject;
  at[last] = value;
  return copy;
}

function refusal(config: unknown): string {
  try {
    parseConfig(config, 'here');
  } catch (error) {
    assert.instance(error, MMARError);
    const { code, message } = error as MMARError;
    assert.is(code, 'checkpoint');
    assert.not.match(message, /\n/);
    return message;
  }
  return 'accepted';
}
const refused = (config: JSONObject, key: string, value: unknown): void => {
  const message = refusal(changed(config, key, value));
  assert.ok(message.startsWith(`here: config.json: ${key} is `), `${key} = ${JSON.stringify(value)}: ${message}`);
};

test('the configs of all variants and sizes are accepted', () => {
  for (const config of Object.values(variants)) assert.is(refusal(config), 'accepted');
  for (const file of fs.readdirSync('configs'))
    assert.is(refusal(JSON.parse(fs.readFileSync(`configs/${file}`, 'utf8'))), 'accepted', file);
});

const autoencoder = {
  in_channels: 0,
  resolution: 1.5,
  ch: '32',
  ch_mult: [],
  num_res_blocks: 0,
  attn_resolutions: [-1],
  z_channels: null,
  embed_dim: true,
  norm_groups: 7,
};
const llm = {
  model_type: 'llama',
  hidden_size: 0,
  num_hidden_layers: -1,
  num_attention_heads: 5,
  num_key_value_heads: 5,
  intermediate_size: 2 ** 31,
  vocab_size: 0.5,
  rms_norm_eps: 0,
  rope_theta: -1,
  tie_word_embeddings: 1,
  max_position_embeddings: '512',
};
const vit = { depth: 1.5, width: 0, heads: 7, mlp_ratio: 0 };
const diffusion = { prediction: 'w', timesteps: 1 };
const under = (part: string, bad: JSONObject): [string, unknown][] =>
  Object.entries(bad).map(([key, value]) => [`${part}.${key}`, value]);
const common: [string, unknown][] = [
  ['model_type', 'mar'],
  ['image_tokens', 63],
  ['plora.rank', 0],
  ['plora.alpha', 0],
  ...under('llm', llm),
  ...under('image_tokenizer', autoencoder),
];
const bad: Record<keyof typeof variants, [string, unknown][]> = {
  mmar: [
    ...common,
    ['variant', 'mar'],
    ['image_tokenizer.type', 'vq'],
    ['image_tokenizer.scaling_factor', 0],
    ...under('embedding_vit', vit),
    ...under('diffusion', { depth: -1, width: 0, mlp_ratio: 0.001, ...diffusion }),
  ],
  vq: [...common, ['image_tokenizer.type', 'kl'], ['image_tokenizer.codebook_size', 0], ...under('embedding_vit', vit)],
  transfusion: [...common, ['image_tokenizer.type', 'vq'], ...under('diffusion', diffusion)],
};
for (const [variant, list] of Object.entries(bad))
  test(`${variant}: one bad value for each field`, () => {
    for (const [key, value] of list) refused(variants[variant as keyof typeof variants], key, value);
  });

test('what would change the mathematics is refused by name', () => {
  const wrong = parse(`{
    "hidden_act": "relu",
    "rope_scaling": { "type": "linear", "factor": 2 },
    "rope_parameters": { "rope_type": "yarn", "rope_theta": 1e6 },
    "layer_types": ["full_attention", "sliding_attention"],
    "use_sliding_window": true,
    "attention_bias": false,
    "mlp_bias": true,
    "quantization_config": { "bits": 4 },
    "num_experts": 8,
    "head_dim": 64,
    "partial_rotary_factor": 0.5,
    "qk_norm": true,
    "is_causal": false,
    "final_logit_softcapping": 30,
    "use_mrope": true
  }`);
  for (const config of Object.values(variants))
    for (const [key, value] of Object.entries(wrong)) refused(config, `llm.${key}`, value);
  refused(variants.mmar, 'llm.rope_scaling', { type: 'default', factor: 2 });
  refused(variants.mmar, 'quantization_config', { bits: 4 });
  refused(variants.mmar, 'hidden_act', 'gelu');
  for (const key of ['image_tokenizer.shift_factor', 'embedding_vit.qk_norm', 'plora.use_rslora', 'diffusion.schedule'])
    refused(variants.mmar, key, 'x');
});

test('what says the same as is computed is accepted', () => {
  const right = parse(`{
    "hidden_act": "silu",
    "rope_scaling": null,
    "rope_parameters": { "rope_type": "default", "rope_theta": 1e6 },
    "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention", "full_attention"],
    "use_sliding_window": false,
    "sliding_window": 131072,
    "max_window_layers": 28,
    "attention_bias": true,
    "attention_dropout": 0,
    "mlp_bias": false,
    "quantization_config": null,
    "head_dim": 32,
    "torch_dtype": "bfloat16",
    "architectures": ["Qwen2ForCausalLM"],
    "something_new": 1
  }`);
  for (const [key, value] of Object.entries(right))
    assert.is(refusal(changed(variants.mmar, `llm.${key}`, value)), 'accepted', key);
});

test('rope_theta may stand among rope_parameters', () => {
  const config = changed(variants.mmar, 'llm.rope_parameters', parse('{ "rope_theta": 5e5 }'));
  assert.match(refusal(config), /rope_parameters\.rope_theta is 500000; want that of rope_theta/);
  assert.is(parseConfig(changed(config, 'llm.rope_theta', undefined), 'here').llm.rope_theta, 5e5);
});

test('a config that asks for too much of anything is refused at once', () => {
  const counts = ['llm.num_hidden_layers', 'embedding_vit.depth', 'diffusion.depth', 'diffusion.timesteps'];
  const start = performance.now();
  for (const key of [...counts, 'image_tokenizer.num_res_blocks', 'image_tokens'])
    for (const value of [1e6, 1e9, 2 ** 31 - 1]) refused(variants.mmar, key, value);
  assert.ok(performance.now() - start < 1000);
  const large = withSettings(variants.mmar, { 'image_tokenizer.resolution': '256', image_tokens: '1024' });
  assert.match(refusal(large), /image_tokens is 1024; want room for text beside them/);
});

test.run();
