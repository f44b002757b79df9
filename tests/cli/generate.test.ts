// Drawing and reading through the command line: the same seed gives the same bytes, on every software adapter.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adapters, mmar, mmarJSON, newFolder } from './mmar.ts';

interface Drawn {
  pictures: { file: string; seed: number; seconds: number }[];
  memory: { weights: number; peak: number };
  adapter: string;
  profile: Record<string, number>;
}

const found = (await adapters()).map(({ name }) => name),
  fast = found[0];
const folder = newFolder(),
  short = ['--iterations', '2', '--steps', '3'];
const bytes = (file: string) => fs.readFileSync(path.join(folder, file)).toString('base64');
const draw = (...words: string[]) => mmarJSON<Drawn>(['generate', ...words], folder);

test('a red apple', async () => {
  const { code, stdout } = await mmar(['generate', 'red apple', '--seed', '1'], { cwd: folder });
  assert.is(code, 0);
  assert.match(stdout, /^mmar-red-apple-1\.png {2}seed 1 {2}[\d.]+ s\non .+; device memory/);
  assert.ok(stdout.includes(`on ${fast}`), `the fastest adapter is ${fast}: ${stdout}`);
});

for (const [adapter, pattern] of [
  ['swiftshader', /swiftshader/i],
  ['lavapipe', /llvmpipe/i],
] as const) {
  const here = found.some((name) => pattern.test(name)),
    drawnOn = here ? test : test.skip;
  if (!here) console.log(`skipped: no adapter ${adapter}`);
  drawnOn(`a red apple on ${adapter}: the same bytes`, async () => {
    const file = `${adapter}.png`,
      drawn = await draw('red apple', '--seed', '1', '--adapter', adapter, '-o', file),
      { pictures, memory, profile } = drawn;
    assert.match(drawn.adapter, pattern);
    assert.is(bytes(file), bytes('mmar-red-apple-1.png'));
    assert.equal(
      pictures.map(({ file, seed }) => [file, seed]),
      [[file, 1]],
    );
    assert.ok(pictures[0].seconds > 0);
    assert.ok(
      memory.weights > 19e6 && memory.peak > memory.weights && memory.peak < 2 * memory.weights,
      JSON.stringify(memory),
    );
    for (const part of ['text prefill', 'EmbeddingViT', 'LLM', 'Diffusion MLP', 'decode'])
      assert.ok(profile[part] > 0, `no time for ${part}`);
  });

  drawnOn(`reads the red apple on ${adapter}`, async () => {
    const { text, tokens, seconds } = await mmarJSON<{ text: string; tokens: number; seconds: number }>(
      ['describe', 'mmar-red-apple-1.png', '--adapter', adapter],
      folder,
    );
    assert.is(text, 'red apple');
    assert.ok(tokens >= 1 && tokens < 10);
    assert.ok(seconds > 0);
  });
}

test('a question, to a pipe', async () => {
  const { code, stdout, stderr } = await mmar(
    ['describe', 'mmar-red-apple-1.png', '--question', 'Which group is it in?'],
    { cwd: folder },
  );
  assert.is(code, 0);
  assert.is(stdout, 'food and drink\n');
  assert.ok(stderr.split('\n').length <= 2, stderr); // no bar; a software adapter is named once
});

test('sampled answers depend on the seed alone', async () => {
  const ask = (seed: string) =>
    mmarJSON<{ text: string }>(
      [
        'describe',
        'mmar-red-apple-1.png',
        '--question',
        'Give some tags.',
        '--temperature',
        '2',
        '--top-p',
        '0.95',
        '--seed',
        seed,
      ],
      folder,
    );
  const [a, b, c] = [await ask('1'), await ask('1'), await ask('2')];
  assert.is(a.text, b.text);
  assert.is.not(a.text, c.text);
});

test('three pictures: their own seeds and files, the peak of one', async () => {
  const one = await draw('cat face', '--seed', '5', ...short, '-o', 'one.png');
  const three = await draw('cat face', '--seed', '5', '-n', '3', ...short, '-o', 'cat-{n}-{seed}.png');
  assert.equal(
    three.pictures.map(({ file, seed }) => [file, seed]),
    [
      ['cat-1-5.png', 5],
      ['cat-2-6.png', 6],
      ['cat-3-7.png', 7],
    ],
  );
  assert.is(bytes('cat-1-5.png'), bytes('one.png'));
  assert.is.not(bytes('cat-2-6.png'), bytes('one.png'));
  assert.equal(three.memory, one.memory);
});

test('side by side, the last fewer', async () => {
  const three = await draw('cat face', '--seed', '5', '-n', '3', '--batch', '2', ...short, '-o', 'pair-{n}.png');
  assert.equal(
    three.pictures.map(({ file, seed }) => [file, seed]),
    [1, 2, 3].map((n) => [`pair-${n}.png`, 4 + n]),
  );
  for (const n of [1, 2, 3]) assert.is(bytes(`pair-${n}.png`), bytes(`cat-${n}-${4 + n}.png`));
});

test('names of files', async () => {
  fs.mkdirSync(path.join(folder, 'sub'));
  const files = async (...words: string[]) => (await draw(...words, ...short)).pictures.map(({ file }) => file);
  assert.equal(await files('Ein  Fuß & 猫!', '-o', 'sub'), ['sub/mmar-ein-fuß-猫-0.png']);
  assert.equal(await files('', '-n', '2', '-o', 'sub/a.png'), ['sub/a-0.png', 'sub/a-1.png']);
  assert.equal(await files(), ['mmar-anything-0.png']);
});

test('every setting has its effect', async () => {
  const settings = [
    ['--cfg', '1'],
    ['--cfg-schedule', 'constant'],
    ['--eta', '1'],
    ['--temperature', '0.5'],
    ['--iterations', '3'],
    ['--steps', '5'],
    ['--precision', 'f32'],
  ];
  const pictures = new Set([bytes('one.png')]);
  for (const words of settings) {
    await draw('cat face', '--seed', '5', ...short, ...words, '-o', 'setting.png');
    pictures.add(bytes('setting.png'));
  }
  assert.is(pictures.size, settings.length + 1);
});

test.run();
