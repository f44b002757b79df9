// A text model from elsewhere brings what ends its answers: its own generation_config.json, or else its tokenizer's.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Checkpoint, openCheckpoint } from '../../loaders/checkpoint.ts';
import { compose } from '../../loaders/compose.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { safetensorsBytes } from '../../loaders/safetensors.ts';
import { loadTokenizer } from '../../loaders/tokenizer.ts';

const carried = (file: string): Uint8Array => fs.readFileSync(`checkpoints/emoji/${file}`);
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const weights = (name: string): Uint8Array =>
  safetensorsBytes([{ name, dtype: 'F32', shape: [1], data: new Float32Array(1) }]);

const open = (name: string, files: Record<string, Uint8Array>): Promise<Checkpoint> =>
  openCheckpoint(memorySource(name, new Map(Object.entries(files))));
const base = (): Promise<Checkpoint> =>
  open('base', {
    'model.safetensors': weights('llm.model.embed_tokens.weight'),
    'config.json': text({ llm: {} }),
    'tokenizer.json': carried('tokenizer.json'),
    'tokenizer_config.json': text({ eos_token: '<|im_start|>' }),
    'generation_config.json': text({ eos_token_id: 7, steps: 25 }),
  });
const llm = (more: Record<string, Uint8Array>): Promise<Checkpoint> =>
  open('llm', {
    'model.safetensors': weights('model.embed_tokens.weight'),
    'config.json': text({ model_type: 'qwen2' }),
    'tokenizer.json': carried('tokenizer.json'),
    'tokenizer_config.json': carried('tokenizer_config.json'),
    ...more,
  });

test('the ids that end an answer come with the text model', async () => {
  const own = await loadTokenizer(await base());
  assert.equal(own.eosIds, [7]);
  const named = await compose(await base(), {
    llm: await llm({ 'generation_config.json': text({ eos_token_id: [3, 4] }) }),
  });
  assert.equal((await loadTokenizer(named)).eosIds, [3, 4]);
  assert.equal(await named.json('generation_config.json'), { eos_token_id: [3, 4], steps: 25 });
});

test('a text model that names none ends with its own eos_token, never with the replaced one', async () => {
  const { eos_token } = JSON.parse(new TextDecoder().decode(carried('tokenizer_config.json'))) as { eos_token: string };
  const composed = await compose(await base(), { llm: await llm({}) }),
    tokenizer = await loadTokenizer(composed);
  assert.equal(tokenizer.eosIds, tokenizer.encode(eos_token));
  assert.not.equal(tokenizer.eosIds, [7]);
});

test.run();
