// What people reach a model by: every kind of image, a model of the Hub, settings of an answer, the news that a device is
// lost, and a program that ends when it has closed its model.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { Device } from '../../engine/device.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { loadMMAR, type MMAR } from '../../model/mmar.ts';
import type { ImageInput } from '../../model/pictures.ts';
import { openPlace } from '../../model/place.ts';
import { nodePlatform } from '../../platform/node.ts';
import { nodeAdapter } from '../../platform/node_gpu.ts';
import { permutation } from '../../shaders/random.ts';
import { device, refused } from '../gpu.ts';

const emoji = 'checkpoints/emoji';
const file = path.resolve(emoji, 'reference/pizza.png');
const bytes = new Uint8Array(fs.readFileSync(file));

let model: MMAR;
test.before(async () => {
  model = await loadMMAR(nodePlatform.source(emoji), { device, platform: nodePlatform });
});
test.after(() => model.close());

test('an image is the same whatever holds it; what is no image is refused', async () => {
  const picture = await nodePlatform.decodePicture(bytes, 'pizza');
  const { width, height, data } = picture;
  const kinds: Record<string, ImageInput> = {
    Blob: new Blob([bytes]),
    File: new File([bytes], 'pizza.png'),
    bytes,
    ArrayBuffer: bytes.slice().buffer,
    ImageData: { width, height, data, colorSpace: 'srgb' } as ImageData,
    path: file,
    'data URL': `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`,
  };
  const { tokens, shape } = await model.encode({ image: picture });
  assert.is(tokens.length, shape[0] * shape[1]);
  assert.ok(tokens.some((value) => value !== tokens[0]));
  for (const [kind, image] of Object.entries(kinds)) assert.equal((await model.encode({ image })).tokens, tokens, kind);
  assert.match(await refused(() => model.encode({ image: 'none.png' }), 'file'), /none\.png is not there/);
  assert.match(
    await refused(() => model.encode({ image: { ...picture, width: width + 1 } }), 'picture'),
    /image is an/,
  );
  await refused(() => model.encode({ image: new Uint8Array(3) }), 'picture');
});

test('an image at an address is fetched', async () => {
  const { fetch } = globalThis;
  const asked: string[] = [];
  globalThis.fetch = async (place, init) => {
    asked.push(String(place));
    return rangeOf(bytes, init);
  };
  try {
    const image = new URL('https://example.org/pictures/a%20pizza.png');
    assert.equal((await model.encode({ image })).tokens, (await model.encode({ image: bytes })).tokens);
  } finally {
    globalThis.fetch = fetch;
  }
  assert.ok(
    asked.length > 0 && asked.every((place) => place === 'https://example.org/pictures/a%20pizza.png'),
    `${asked}`,
  );
});

test('owner/name that is no folder is a model of the Hub', async () => {
  const { fetch } = globalThis;
  const asked: string[] = [];
  globalThis.fetch = async (place, init) => {
    asked.push(String(place));
    const [, name] = /^https:\/\/huggingface\.co\/some\/model\/resolve\/main\/([\w.]+)$/.exec(String(place)) ?? [];
    if (!name || !fs.existsSync(path.join(emoji, name))) return new Response(null, { status: 404 });
    return rangeOf(new Uint8Array(fs.readFileSync(path.join(emoji, name))), init);
  };
  try {
    const source = await openPlace('some/model', nodePlatform.source);
    const config = new Uint8Array((await source.size('config.json'))!);
    await source.read('config.json', 0, config);
    assert.equal(Buffer.from(config), fs.readFileSync(path.join(emoji, 'config.json')));
    await source.close();
    await refused(() => openPlace('some/other', nodePlatform.source), 'file');
    const before = asked.length;
    await (await openPlace(emoji, nodePlatform.source)).close(); // a folder that has the form of such a name
    assert.is(asked.length, before);
  } finally {
    globalThis.fetch = fetch;
  }
});

test('top_p and temperature of an answer are heard', async () => {
  const answers = async (top_p: number): Promise<string[]> => {
    const all: string[] = [];
    for (let seed = 0; seed < 4; seed++) {
      const { ids } = await model.describe({ image: bytes, temperature: 8, top_p, seed, max_new_tokens: 4 });
      all.push(ids.join());
    }
    return all;
  };
  const greedy = await model.describe({ image: bytes, temperature: 0, max_new_tokens: 4 });
  assert.equal(new Set(await answers(1e-6)), new Set([greedy.ids.join()]), 'the likeliest token alone');
  assert.ok(new Set(await answers(1)).size > 1, 'at a high temperature seeds differ');
});

test('the loss of a device is told once', async () => {
  const own = await Device.open((await nodeAdapter(process.env.MMAR_ADAPTER)).adapter);
  const lost = await loadMMAR(nodePlatform.source('tests/golden/plain'), { device: own });
  const heard: string[] = [];
  const told = new Promise<void>((resolve) => {
    lost.onLost = (message) => {
      heard.push(message);
      resolve();
    };
  });
  own.gpu.destroy();
  await told;
  assert.is(heard.length, 1);
  assert.match(heard[0], /the graphics device was lost/);
  await lost.close().catch(() => {});
});

test('an answer is about the picture as it is, not as the last one was', async () => {
  const [pizza, rocket] = await Promise.all(
    ['pizza', 'rocket'].map((name) =>
      nodePlatform.decodePicture(new Uint8Array(fs.readFileSync(path.resolve(emoji, `reference/${name}.png`))), name),
    ),
  );
  const say = async (image: ImageInput) => (await model.describe({ image, max_new_tokens: 4, temperature: 0 })).text;
  const [one, other] = [await say(pizza), await say(rocket)];
  assert.not.equal(one, other);
  assert.is(await say(pizza), one);
  pizza.data.set(rocket.data); // the same object now shows something else
  assert.is(await say(pizza), other);
});

test('each seed has its picture, which is that of its order and its noise', async () => {
  const settings = { iterations: 2, steps: 2 };
  const [one, two] = await model.generate({ prompt: 'pizza', seeds: [1, 2], ...settings });
  assert.equal([one.seed, two.seed], [1, 2]);
  assert.not.equal(one.tokens, two.tokens);
  assert.equal((await model.generate({ prompt: 'pizza', seed: 2, ...settings })).tokens, two.tokens);
  const tokenizer = await model.tokenizer();
  const [before, uncond] = ['pizza', ''].map((prompt) => tokenizer.drawingPrompt(prompt).before);
  const pictures = [{ order: permutation(model.config.image_tokens, 2), chance: { seed: 2 } }];
  const { tokens } = await model.drawTokens({ before, uncond, pictures }, model.settings(settings));
  assert.equal(tokens, two.tokens);
});

test('what is no request is refused in words', async () => {
  const wrong = [null, 5, 'rocket', { seeds: 5 }, { signal: 5 }] as unknown as { prompt: string }[];
  for (const options of wrong) await refused(() => model.generate(options), 'usage');
  const nothing = undefined as never;
  const calls = ['describe', 'chat', 'encode', 'decode'] as const;
  for (const call of calls)
    assert.match(await refused(() => model[call](nothing) as Promise<unknown>, 'usage'), /undefined; give an object/);
  const huge = { width: 1e9, height: 1e9, data: { length: 4e18 } as unknown as Uint8ClampedArray };
  await refused(() => model.describe({ image: huge }), 'picture');
  for (const from of [undefined, null, 5, {}])
    assert.match(await refused(() => loadMMAR(from as never, { device }), 'usage'), /is no place of a model/);
  const { source } = model.checkpoint;
  for (const [option, said] of [
    ['plora', /plora is 5; give merged or separate/],
    ['precision', /precision is 5/],
  ] as const)
    assert.match(await refused(() => loadMMAR(source, { device, [option]: 5 }), 'usage'), said);
  assert.match(await refused(() => nodeAdapter(8888 as never), 'adapter'), /no adapter matches 8888: found/);
  const aborted = AbortSignal.abort();
  await refused(() => openPlace('nobody/nothing', nodePlatform.source, aborted), 'cancelled');
});

test('a picture that leaves the numbers of f32 is refused, not shown black', async () => {
  for (const setting of ['cfg', 'temperature'])
    assert.match(
      await refused(() => model.generate({ prompt: 'rocket', iterations: 2, steps: 1, [setting]: 1e308 }), 'usage'),
      new RegExp(`numbers that f32 has, with .*${setting} 1e\\+308`),
    );
});

test('a conversation that goes on reads what is new alone, and answers as a fresh model does', async () => {
  const [ask, more] = ['What is a banana?', 'And a pizza?'].map((content) => ({ role: 'user' as const, content }));
  const settings = { max_new_tokens: 5, temperature: 0 };
  const first = await model.chat({ messages: [ask], ...settings });
  const messages = [ask, { role: 'assistant' as const, content: first.text }, more];
  const second = await model.chat({ messages, ...settings });
  assert.ok(
    second.usage.cachedTokens >= first.usage.promptTokens + 3,
    `${JSON.stringify([first.usage, second.usage])}`,
  );
  const fresh = await loadMMAR(nodePlatform.source(emoji), { device, platform: nodePlatform });
  assert.equal((await fresh.chat({ messages, ...settings })).ids, second.ids);
  await fresh.close();
});

test('a checkpoint that disagrees with its config, or breaks off, is refused and leaves nothing on the device', async () => {
  const files = [
    'config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
    'generation_config.json',
  ];
  const content = new Map(files.map((name) => [name, new Uint8Array(fs.readFileSync(path.join(emoji, name)))]));
  const changed = (name: string, change: (json: Record<string, unknown>) => object) => {
    const json = JSON.parse(Buffer.from(content.get(name)!).toString()) as Record<string, unknown>;
    return memorySource('changed', new Map([...content, [name, Buffer.from(JSON.stringify(change(json)))]]));
  };
  const { held } = device.memory;
  const wider = changed('config.json', (json) => ({
    ...json,
    llm: { ...(json.llm as object), vocab_size: 1_000_000 },
  }));
  assert.match(await refused(() => loadMMAR(wider, { device, available: 1e8 }), 'checkpoint'), /embed_tokens.*1000000/);
  const whole = changed('config.json', (json) => json);
  let read = 0;
  const breaking = {
    ...whole,
    read: (file: string, offset: number, into: Uint8Array, signal?: AbortSignal) => {
      read += into.length;
      if (read > 8e6) throw new MMARError('file', 'it broke off');
      return whole.read(file, offset, into, signal);
    },
  };
  assert.match(await refused(() => loadMMAR(breaking, { device }), 'file'), /broke off/);
  device.memory.trim();
  assert.ok(device.memory.held <= held, `${device.memory.held - held} bytes stay`);

  const brief = changed('generation_config.json', (json) => ({ ...json, max_new_tokens: 1 }));
  const own = await loadMMAR(brief, { device, platform: nodePlatform });
  const { ids, finishReason } = await own.describe({ image: bytes });
  assert.equal([ids.length, finishReason], [1, 'length']);
  assert.is((await own.describe({ image: bytes, max_new_tokens: 2 })).ids.length, 2);
  await own.close();
});

test('a call that was begun is waited for by close, and none that comes behind it', async () => {
  const calls: Record<string, (model: MMAR) => Promise<unknown>> = {
    generate: (model) => model.generate({ prompt: 'pizza', iterations: 2, steps: 2 }),
    describe: async (model) => (await model.describe({ image: bytes, max_new_tokens: 2 })).text,
    encode: (model) => model.encode({ image: bytes }),
    decode: (model) => model.decode({ tokens: new Float32Array(model.config.image_tokens * 16) }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const own = await loadMMAR(nodePlatform.source(emoji), { device, platform: nodePlatform });
    const begun = call(own);
    const closing = own.close();
    const late = refused(() => call(own), 'usage');
    assert.equal(await begun, await call(model), name);
    await closing;
    assert.match(await late, /the model was closed/);
  }
});

test('a program ends by itself when it has closed its model', async () => {
  const { buildNode } = await import(pathToFileURL(path.resolve('esbuild.config.mjs')).href);
  await buildNode(['index.ts'], 'dist');
  const program = `
    import { loadMMAR } from ${JSON.stringify(pathToFileURL(path.resolve('dist/index.mjs')).href)};
    const model = await loadMMAR(${JSON.stringify(path.resolve('tests/golden/plain'))}, { adapter: process.env.MMAR_ADAPTER });
    const { tokens } = await model.encode({ image: { width: 1, height: 1, data: new Uint8ClampedArray(4).fill(255) } });
    await model.close();
    let closed = '';
    try { model.device.check(); } catch (error) { closed = error.message; }
    console.log(tokens.length, closed);
  `;
  const words = ['--input-type=module', '-e', program];
  const out = execFileSync(process.execPath, words, { encoding: 'utf8', timeout: 60_000 });
  assert.match(out, /^64 the device was closed/);
});

/** What a server answers that knows ranges. */
function rangeOf(content: Uint8Array, init?: RequestInit): Response {
  const [, from, to] = /bytes=(\d+)-(\d*)/.exec(new Headers(init?.headers).get('range') ?? '') ?? [];
  const headers = { 'Content-Length': String(content.length) };
  if (init?.method === 'HEAD') return new Response(null, { headers });
  if (from === undefined) return new Response(content.slice(), { headers });
  const last = Math.min(Number(to || Infinity), content.length - 1);
  return new Response(content.slice(Number(from), last + 1), {
    status: 206,
    headers: { 'Content-Range': `bytes ${from}-${last}/${content.length}` },
  });
}

test.run();
