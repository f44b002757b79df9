import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { Checkpoint, openCheckpoint } from '../../loaders/checkpoint.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { safetensorsBytes } from '../../loaders/safetensors.ts';

const INDEX = 'model.safetensors.index.json';
const utf8 = (text: string) => new TextEncoder().encode(text);
const shard = (...names: string[]) =>
  safetensorsBytes(names.map((name) => ({ name, dtype: 'U8' as const, shape: [4], data: utf8(name.padEnd(4)) })));
const json = (value: unknown) => utf8(JSON.stringify(value));
const index = (weight_map: unknown) => ({ [INDEX]: json({ weight_map }) });
const sourceOf = (files: Record<string, Uint8Array>) => memorySource('a/folder', new Map(Object.entries(files)));
const open = (files: Record<string, Uint8Array>) => openCheckpoint(sourceOf(files));

async function refuses(files: Record<string, Uint8Array>, code: string, ...words: string[]) {
  const error: unknown = await open(files).then(
    () => assert.unreachable('took it'),
    (error: unknown) => error,
  );
  assert.instance(error, MMARError);
  assert.is((error as MMARError).code, code, (error as MMARError).message);
  for (const word of ['a/folder', ...words]) assert.match((error as MMARError).message, word);
}

async function textOf(checkpoint: Checkpoint, name: string) {
  const into = new Uint8Array(checkpoint.place(name).entry.bytes);
  await checkpoint.read(name, 0, into);
  return new TextDecoder().decode(into).trim();
}

test('one file', async () => {
  const checkpoint = await open({ 'model.safetensors': shard('a', 'b') });
  assert.equal([...checkpoint.tensors.keys()], ['a', 'b']);
  assert.is(await textOf(checkpoint, 'b'), 'b');
  const tail = new Uint8Array(2);
  await checkpoint.read('b', 2, tail);
  assert.equal(tail, new Uint8Array([0x20, 0x20]));
});

test('shards, more than are read at once', async () => {
  const files: Record<string, Uint8Array> = {};
  const weight_map: Record<string, string> = {};
  for (let i = 0; i < 9; i++) {
    const file = `model-0000${i + 1}-of-00009.safetensors`;
    weight_map[`t${i}`] = file;
    files[file] = shard(`t${i}`);
  }
  files[INDEX] = json({ metadata: { total_size: 36 }, weight_map });
  const checkpoint = await open(files);
  assert.is(checkpoint.tensors.size, 9);
  for (let i = 0; i < 9; i++) assert.is(await textOf(checkpoint, `t${i}`), `t${i}`);
});

test('one file comes before an index', async () => {
  const checkpoint = await open({ 'model.safetensors': shard('a'), ...index({ b: 'x' }) });
  assert.equal([...checkpoint.tensors.keys()], ['a']);
});

test('no checkpoint', () => refuses({ 'a.txt': json(1) }, 'checkpoint', 'neither model.safetensors nor', INDEX));
test('an index without its shard', () => refuses(index({ a: 's1' }), 'checkpoint', 's1', 'not there'));
test('a tensor that its shard lacks', () =>
  refuses({ ...index({ a: 's1', b: 's1' }), s1: shard('a') }, 'checkpoint', '"b"', 's1'));
test('a tensor in another shard', () =>
  refuses({ ...index({ a: 's1', b: 's2' }), s1: shard('a', 'b'), s2: shard('c') }, 'checkpoint', '"b"', 's1', 's2'));
test('a tensor in two shards', () =>
  refuses({ ...index({ a: 's1', b: 's2' }), s1: shard('a'), s2: shard('b', 'a') }, 'checkpoint', 'both s1 and s2'));
test('a broken shard', () => refuses({ ...index({ a: 's1' }), s1: new Uint8Array(3) }, 'file', 's1', '3 bytes'));
test('an index that is no JSON', () => refuses({ [INDEX]: utf8('{"weight_map":\n{') }, 'checkpoint', 'no JSON'));
test('an index that is no text', () => refuses({ [INDEX]: new Uint8Array([0xff]) }, 'checkpoint', 'UTF-8'));
for (const value of [null, [], 3, {}, { weight_map: [] }, { weight_map: 'x' }]) {
  test(`an index of ${JSON.stringify(value)}`, () => refuses({ [INDEX]: json(value) }, 'checkpoint', 'weight_map'));
}
const outside = ['../x', 'a/../../x', '/etc/x', '', '.', './x', 'a//x', '..\\x', 'C:x', 'https://h/x', 'x?y', '%2e/x'];
for (const file of [...outside, 'a\0', 7]) {
  test(`a shard called ${JSON.stringify(file)}`, () =>
    refuses({ ...index({ w: file }), '../x': shard('w') }, 'checkpoint', '"w"', 'no file of this folder'));
}

test('a missing tensor and bytes beyond one', async () => {
  const checkpoint = await open({ 'model.safetensors': shard('a') });
  assert.throws(() => checkpoint.place('__proto__'), /no tensor "__proto__"/);
  const beyond = checkpoint.read('a', 3, new Uint8Array(2));
  await beyond.then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, 'a has 4 bytes'),
  );
});

test('other files: JSON, text, none', async () => {
  const files = { 'config.json': json({ x: [1] }), 'bad.json': utf8('"') };
  const checkpoint = await open({ 'model.safetensors': shard('a'), ...files });
  assert.equal(await checkpoint.json('config.json'), { x: [1] });
  assert.is(await checkpoint.text('config.json'), '{"x":[1]}');
  assert.is(await checkpoint.json('none.json'), undefined);
  const refused = (error: Error) => assert.match(error.message, /bad\.json in a\/folder is no JSON/);
  await checkpoint.json('bad.json').then(() => assert.unreachable(), refused);
});

test('tensors may come from several sources under other names', async () => {
  const [one, two] = [await open({ 'model.safetensors': shard('a') }), await open({ 'model.safetensors': shard('b') })];
  const composed = new Checkpoint(one.source, new Map([...one.tensors, ['llm.b', two.place('b')]]));
  assert.is(await textOf(composed, 'a'), 'a');
  assert.is(await textOf(composed, 'llm.b'), 'b');
});

test.run();
