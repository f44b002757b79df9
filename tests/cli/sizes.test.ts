// mmar init, inspect --config, composed checkpoints, and mmar chat, on tiny models.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failed, mmar, mmarJSON, newFolder, root } from './mmar.ts';

const carried = path.join(root, 'checkpoints/emoji'),
  config = path.join(carried, 'config.json'),
  folder = newFolder();
const at = (name: string): string => path.join(folder, name);
test.after(() => fs.rmSync(folder, { recursive: true }));

/** A tensor's bytes, wherever it lies. */
function tensor(dir: string, name: string): Buffer {
  const index = path.join(dir, 'model.safetensors.index.json');
  const file = fs.existsSync(index)
    ? (JSON.parse(fs.readFileSync(index, 'utf8')) as { weight_map: Record<string, string> }).weight_map[name]
    : 'model.safetensors';
  const bytes = fs.readFileSync(path.join(dir, file)),
    length = Number(bytes.readBigUInt64LE());
  const [from, to] = (
    JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { data_offsets: [number, number] }>
  )[name].data_offsets;
  return bytes.subarray(8 + length + from, 8 + length + to);
}

/** Runs `mmar chat` with these lines on its standard input. */
function chat(words: string[], lines: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [path.join(root, 'cli/mmar.mjs'), 'chat', '--adapter', 'swiftshader', '--max-new-tokens', '8', ...words],
      { stdio: 'pipe' },
    );
    let stdout = '',
      stderr = '';
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  });
}

test('init: the same weights in one file and in shards; inspect finds nothing wrong', async () => {
  const whole = await mmarJSON<{ files: string[]; parameters: number }>([
    'init',
    at('whole'),
    '--config',
    config,
    '--seed',
    '5',
  ]);
  const sharded = await mmarJSON<{ files: string[] }>([
    'init',
    at('sharded'),
    '--config',
    config,
    '--seed',
    '5',
    '--shard-size',
    '4MB',
  ]);
  assert.equal(whole.files, ['model.safetensors']);
  assert.is(whole.parameters, 9939779);
  assert.ok(sharded.files.length > 4);
  for (const name of [
    'llm.model.embed_tokens.weight',
    'llm.model.layers.3.mlp.up_proj.lora_B.weight',
    'diffusion.final_layer.linear.bias',
  ]) {
    assert.equal(tensor(at('whole'), name), tensor(at('sharded'), name), name);
  }
  for (const dir of ['whole', 'sharded']) {
    const { missing, wrong, unexpected } = await mmarJSON<Record<string, string[]>>(['inspect', at(dir)]);
    assert.equal([missing, wrong, unexpected], [[], [], []]);
  }
  failed(await mmar(['init', at('whole'), '--config', config]), 2, /is not empty; give a new folder/);
});

test('init: what cannot be', async () => {
  failed(
    await mmar(['init', at('x'), '--config', 'mmar-9b']),
    1,
    /--config mmar-9b: there is no such config; give mmar-0\.5b-vq, mmar-0\.5b, mmar-7b, transfusion-0\.5b, or a JSON file/,
  );
  failed(
    await mmar(['init', at('x'), '--config', 'mmar-7b', '--set', 'llm.layers=2']),
    2,
    /the config has no llm\.layers/,
  );
  failed(
    await mmar(['init', at('x'), '--config', 'mmar-7b', '--shard-size', 'big']),
    2,
    /--shard-size is "big"; give a size such as/,
  );
  failed(await mmar(['init', at('x/y/z'), '--config', config]), 1, /cannot write .*; make its parent folder/);
  assert.not.ok(fs.existsSync(at('x')));
});

test('init that is stopped leaves nothing', async () => {
  const { code, stopping } = await mmar(['init', at('stopped'), '--config', 'mmar-0.5b'], { stopAfter: 1200 });
  assert.not.equal(code, 0);
  assert.ok(stopping < 1500, `${stopping} ms`);
  assert.not.ok(fs.existsSync(at('stopped')));
});

// What merging PLoRA adds: a second matrix in place of A and B, where that is little.
for (const [name, parameters, llm, merging] of [
  ['mmar-0.5b', 1147306723, 494032768, 152_567_808],
  ['mmar-7b', 11721510371, 7615616512, 0],
] as const) {
  test(`${name}: the published number of parameters, and a plan`, async () => {
    const { parts, plan } = await mmarJSON<{
      parts: Record<string, { parameters: number }>;
      plan: Record<string, number>;
    }>(['inspect', '--config', name, '--plan']);
    assert.is(
      Object.values(parts).reduce((sum, part) => sum + part.parameters, 0),
      parameters,
    );
    assert.is(parts.llm.parameters, llm);
    const apart = plan.weights - merging;
    assert.ok(apart >= 1.99 * parameters && apart < 2.01 * parameters, `${plan.weights}`);
  });
}

test('chat: with the text model of an MMAR checkpoint and with a plain Qwen2 folder', async () => {
  const inner = await chat(['--json'], ['apple', 'again', '', '/reset', 'apple', '/exit', 'never']);
  assert.is(inner.code, 0, inner.stderr);
  const answers = inner.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { text: string; tokens: number });
  assert.is(answers.length, 3);
  assert.is(answers[0].text, answers[2].text, 'as at first, after /reset');
  assert.ok(answers.every(({ tokens }) => tokens <= 8));

  // The same text model as Hugging Face publishes one: without its prefix and without MMAR's parts.
  const plain = at('qwen2'),
    file = fs.readFileSync(path.join(carried, 'model.safetensors')),
    length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const chosen = Object.entries(header).filter(([name]) => name.startsWith('llm.') && !name.includes('lora')),
    out: Buffer[] = [],
    entries: Record<string, unknown> = {};
  let from = 0;
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [start, end],
    },
  ] of chosen) {
    entries[name.slice(4)] = { dtype, shape, data_offsets: [from, from + end - start] };
    from += end - start;
    out.push(file.subarray(8 + length + start, 8 + length + end));
  }
  const text = Buffer.from(JSON.stringify(entries)),
    size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  fs.mkdirSync(plain);
  fs.writeFileSync(path.join(plain, 'model.safetensors'), Buffer.concat([size, text, ...out]));
  fs.writeFileSync(
    path.join(plain, 'config.json'),
    JSON.stringify((JSON.parse(fs.readFileSync(config, 'utf8')) as { llm: unknown }).llm),
  );
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    fs.copyFileSync(path.join(carried, name), path.join(plain, name));
  const alone = await chat(['--llm', plain, '--json'], ['apple']);
  assert.is((JSON.parse(alone.stdout) as { text: string }).text, answers[0].text);

  // And put into another checkpoint, it is found whole there.
  const { missing, wrong, unexpected } = await mmarJSON<Record<string, string[]>>([
    'inspect',
    at('whole'),
    '--llm',
    plain,
  ]);
  assert.equal([missing, wrong, unexpected], [[], [], []]);
  failed(await mmar(['inspect', '--llm', carried]), 1, /is an MMAR checkpoint: give it as --model/);
  failed(
    await mmar(['inspect', '--vae', path.join(plain, 'model.safetensors')]),
    1,
    /has no encoder\.conv_in\.weight .*; give an LDM or MAR KL-16/,
  );
});

test('--set changes the config of any command that takes a model', async () => {
  const { config: changed, unexpected } = await mmarJSON<{
    config: { llm: { num_hidden_layers: number } };
    unexpected: string[];
  }>(['inspect', '--set', 'llm.num_hidden_layers=2']);
  assert.is(changed.llm.num_hidden_layers, 2);
  assert.ok(unexpected.length > 0);
  failed(
    await mmar([
      'encode',
      path.join(carried, 'reference/banana.png'),
      '--adapter',
      'swiftshader',
      '--set',
      'llm.num_hidden_layers=9',
      '-o',
      at('t.safetensors'),
    ]),
    1,
    /layers\.5\.input_layernorm\.weight is missing/,
  );
});

test.run();
