import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { layOut, readHeader, readTensor, safetensorsBytes, toInts } from '../../loaders/safetensors.ts';

const utf8 = new TextEncoder();

/** A file of any header, sound or not, and `data` bytes behind it. */
function raw(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? utf8.encode(header) : header;
  const file = new Uint8Array(8 + text.length + data);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

/** A source that refuses to be asked for more than the file has. */
function sourceOf(file: Uint8Array) {
  const source = memorySource('a place', new Map([['f.safetensors', file]]));
  const read = source.read;
  source.read = (name, offset, into, signal) => {
    assert.ok(into.length <= file.length, `allocated ${into.length} for a file of ${file.length}`);
    return read(name, offset, into, signal);
  };
  return source;
}

const open = (file: Uint8Array) => readHeader(sourceOf(file), 'f.safetensors');

async function refuses(file: Uint8Array, ...words: string[]) {
  try {
    await open(file);
  } catch (error) {
    assert.instance(error, MMARError);
    const { code, message } = error as MMARError;
    assert.is(code, 'file');
    assert.not.match(message, '\n');
    for (const word of ['f.safetensors', 'a place', 'download it again', ...words]) assert.match(message, word);
    return;
  }
  assert.unreachable(`took it, though: ${words}`);
}

const entry = (dtype: string, shape: string, offsets: string) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

test('writes and reads back: types, shapes, order, metadata', async () => {
  const file = safetensorsBytes(
    [
      { name: 'z.bytes', dtype: 'U8', shape: [3], data: new Uint8Array([1, 2, 3]) },
      { name: 'b', dtype: 'F32', shape: [2, 1], data: new Float32Array([0.5, -2]) },
      { name: 'a', dtype: 'F32', shape: [], data: new Float32Array([7]) },
      { name: 'ids "é"', dtype: 'I64', shape: [2], data: new BigInt64Array([-3n, 1n << 52n]) },
      { name: 'empty', dtype: 'BF16', shape: [0, 4], data: new Uint16Array() },
    ],
    { steps: '50', '__proto__ x': '"\n' },
  );
  const source = sourceOf(file);
  const { tensors, metadata } = await readHeader(source, 'f.safetensors');
  assert.equal([...tensors.keys()], ['ids "é"', 'a', 'b', 'empty', 'z.bytes']);
  assert.equal(metadata, { steps: '50', '__proto__ x': '"\n' });
  for (const { offset, dtype, name } of tensors.values()) if (dtype !== 'U8') assert.is(offset % 2, 0, name);
  assert.is(tensors.get('a')!.offset % 8, 0);
  const ids = tensors.get('ids "é"')!;
  assert.equal(toInts(ids, await readTensor(source, 'f.safetensors', ids)), [-3, 2 ** 52]);
  const empty = tensors.get('empty')!;
  assert.equal([empty.shape, empty.bytes, (await readTensor(source, 'f.safetensors', empty)).length], [[0, 4], 0, 0]);
});

test('the same tensors in any order give the same file', () => {
  const tensors = ['b', 'a', 'c'].map((name) => ({ name, dtype: 'U8' as const, shape: [1], data: utf8.encode(name) }));
  assert.equal(safetensorsBytes(tensors), safetensorsBytes([...tensors].reverse()));
  assert.is(layOut(tensors).head.length % 8, 0);
});

test('writing refuses a taken or reserved name and data that do not fit', () => {
  const tensor = { name: 'a', dtype: 'F32' as const, shape: [2], data: new Float32Array(2) };
  assert.throws(() => safetensorsBytes([tensor, tensor]), /"a" is taken/);
  assert.throws(() => safetensorsBytes([{ ...tensor, name: '__metadata__' }]), /taken/);
  assert.throws(() => safetensorsBytes([{ ...tensor, shape: [3] }]), /needs 12 bytes, not 8/);
});

test('takes what the format allows: no tensor, padding, escapes, any order, harmless names', async () => {
  assert.is((await open(raw('{}'))).tensors.size, 0);
  const [last, first, none] = [entry('U8', '[1]', '[2,3]'), entry('F16', '[]', '[0, 2]'), entry('F64', '[0]', '[2,2]')];
  const header = `{ "__proto__" : ${last},\n\t"caf\\u00e9":${first}, "none":${none} }   `;
  const { tensors } = await open(raw(header, 3));
  assert.equal([...tensors.keys()], ['__proto__', 'café', 'none']);
  assert.is(tensors.get('__proto__')!.offset, 8 + utf8.encode(header).length + 2);
  assert.is(({} as Record<string, unknown>).dtype, undefined);
  const { metadata } = await open(raw('{"__metadata__":{"__proto__":"x","a":""}}'));
  assert.equal(Object.entries(metadata), [
    ['__proto__', 'x'],
    ['a', ''],
  ]);
});

test('a file that is not there', async () => {
  const missing = readHeader(memorySource('a place', new Map()), 'f.safetensors');
  const refused = (error: Error) => assert.match(error.message, 'a place has no f.safetensors');
  await missing.then(() => assert.unreachable(), refused);
});

const one = (text: string) => `{"w":${text}}`;
const byte = entry('U8', '[1]', '[0,1]');
const attacks: [what: string, file: Uint8Array, ...words: string[]][] = [
  ['an empty file', new Uint8Array(), '0 bytes'],
  ['seven bytes', new Uint8Array(7), '7 bytes'],
  ['a header past the end', raw('{}', 0, 3n), '3 bytes', '2 are left'],
  ['a header of 2^63 bytes', raw('{}', 0, 1n << 63n), '9223372036854775808'],
  ['a header over the limit', raw('{}', 0, 100_000_001n), 'over the limit'],
  ['an empty header', raw(''), 'does not begin'],
  ['another first byte', raw(' {}'), 'does not begin'],
  ['no UTF-8', raw(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])), 'UTF-8'],
  ['no JSON', raw('{w}'), 'a string for a key'],
  ['text after the end', raw('{}{}'), 'the end of the header'],
  ['a cut header', raw('{"w":{'), 'the end'],
  ['an open string', raw('{"w'), 'does not end'],
  ['a raw line break in a string', raw('{"a\nb":1}'), 'no JSON string'],
  ['a bad escape', raw('{"\\x":1}'), 'no JSON string'],
  ['an array', raw(one('[]')), '"w"'],
  ['a number for a tensor', raw(one('3')), '"w"'],
  ['deep nesting', raw(`{"w":${'['.repeat(100_000)}`), '"w"'],
  ['a name twice', raw(`{"w":${byte},"\\u0077":${byte}}`, 1), '"w" twice'],
  ['a key twice', raw(one('{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}'), 1), '"dtype" twice', '"w"'],
  ['metadata twice', raw('{"__metadata__":{},"__metadata__":{}}'), 'twice'],
  ['a metadata key twice', raw('{"__metadata__":{"a":"1","a":"2"}}'), '"a" twice'],
  ['metadata of numbers', raw('{"__metadata__":{"a":1}}'), '__metadata__', '"a"'],
  ['metadata as a list', raw('{"__metadata__":[]}'), '__metadata__'],
  ['an unknown key', raw(one('{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}'), 1), 'unknown key "x"'],
  ['no dtype', raw(one('{"shape":[1],"data_offsets":[0,1]}'), 1), 'no dtype'],
  ['no shape', raw(one('{"dtype":"U8","data_offsets":[0,1]}'), 1), 'no shape'],
  ['no offsets', raw(one('{"dtype":"U8","shape":[1]}'), 1), 'no data_offsets'],
  ['an unknown dtype', raw(one(entry('F17', '[1]', '[0,1]')), 1), 'F17'],
  ['a dtype of the prototype', raw(one(entry('toString', '[1]', '[0,1]')), 1), 'toString'],
  ['a negative length', raw(one(entry('U8', '[-1]', '[0,1]')), 1), '-1', 'shape'],
  ['a broken length', raw(one(entry('U8', '[1.0]', '[0,1]')), 1), '1.0'],
  ['a length as text', raw(one(entry('U8', '["1"]', '[0,1]')), 1), 'shape'],
  ['an exponent', raw(one(entry('U8', '[1e0]', '[0,1]')), 1), '1e0'],
  ['a leading zero', raw(one(entry('U8', '[01]', '[0,1]')), 1), '01'],
  ['a nested shape', raw(one(entry('U8', '[[1]]', '[0,1]')), 1), 'shape'],
  ['a length of 2^53', raw(one(entry('U8', '[9007199254740992]', '[0,1]')), 1), '"9007199254740992", no whole number'],
  ['a product that overflows', raw(one(entry('U8', '[4294967296,4294967296,4294967296]', '[0,0]'))), '2^53'],
  ['an overflow hidden behind a zero', raw(one(entry('U8', '[9007199254740991,9007199254740991,0]', '[0,0]'))), '"w"'],
  ['a shape of 65 numbers', raw(one(entry('U8', `[${Array(65).fill(1)}]`, '[0,1]')), 1), '64'],
  ['one offset', raw(one(entry('U8', '[1]', '[0]')), 1), '1 data_offsets'],
  ['three offsets', raw(one(entry('U8', '[1]', '[0,1,1]')), 1), '3 data_offsets'],
  ['a negative offset', raw(one(entry('U8', '[1]', '[-1,0]')), 1), '-1'],
  ['a broken offset', raw(one(entry('U8', '[1]', '[0,1.5]')), 1), '1.5'],
  ['an offset beyond 2^53', raw(one(entry('U8', '[1]', '[0,18446744073709551617]')), 1), '18446744073709551617'],
  ['an end before the begin', raw(one(entry('U8', '[1]', '[1,0]')), 1), '[1, 0]'],
  ['fewer bytes than the shape', raw(one(entry('F32', '[2]', '[0,4]')), 4), 'needs 8 bytes'],
  ['more bytes than the shape', raw(one(entry('F32', '[1]', '[0,8]')), 8), 'needs 4 bytes'],
  ['data cut short', raw(one(entry('F32', '[2]', '[0,8]')), 7), '7 bytes of data'],
  ['data left over', raw(one(entry('F32', '[2]', '[0,8]')), 9), '9 bytes of data'],
  ['a hole at the front', raw(one(entry('U8', '[1]', '[1,2]')), 2), 'hole'],
  ['a hole', raw(`{"a":${entry('U8', '[1]', '[0,1]')},"b":${entry('U8', '[1]', '[2,3]')}}`, 3), '"b"', 'hole'],
  ['an overlap', raw(`{"a":${entry('U8', '[2]', '[0,2]')},"b":${entry('U8', '[2]', '[1,3]')}}`, 3), '"b"', 'overlap'],
  ['the same range twice', raw(`{"a":${byte},"b":${byte}}`, 1), 'overlap'],
  ['none inside another', raw(`{"a":${entry('U8', '[2]', '[0,2]')},"b":${entry('U8', '[0]', '[1,1]')}}`, 2), 'overlap'],
];
for (const [what, file, ...words] of attacks) test(`refuses ${what}`, () => refuses(file, ...words));

test('a hostile name stays on one short line', () => refuses(raw(`{"${'\\n'.repeat(5000)}":1}`), '\\n'));

test('sound tensors or one error, whatever becomes of a file', async () => {
  const tensors = fc.uniqueArray(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 8 }),
      dtype: fc.constantFrom('U8' as const, 'BF16' as const, 'F32' as const),
      shape: fc.array(fc.nat(3), { maxLength: 3 }),
    }),
    { selector: (tensor) => tensor.name, maxLength: 4 },
  );
  const size = { U8: 1, BF16: 2, F32: 4 };
  const bytes = fc.oneof(fc.nat(255), fc.constantFrom(...utf8.encode('{}[]",:0919- ')));
  const changes = fc.array(fc.tuple(fc.nat(400), bytes), { maxLength: 3 });
  const property = fc.asyncProperty(tensors, changes, fc.option(fc.nat(400)), async (specs, edits, cut) => {
    const file = safetensorsBytes(
      specs.map((spec) => ({
        ...spec,
        data: new Uint8Array(spec.shape.reduce((a, b) => a * b, size[spec.dtype])).fill(7),
      })),
    );
    for (const [at, byte] of edits) if (at < file.length) file[at] = byte;
    const mutated = cut === null ? file : file.slice(0, cut);
    try {
      const { tensors } = await open(mutated);
      const bytes = [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
      const header = Number(new DataView(mutated.buffer).getBigUint64(0, true));
      assert.is(8 + header + bytes, mutated.length);
      for (const tensor of tensors.values()) {
        assert.is((await readTensor(sourceOf(mutated), 'f.safetensors', tensor)).length, tensor.bytes);
      }
      if (!edits.length && cut === null) assert.is(tensors.size, specs.length);
    } catch (error) {
      if (!(error instanceof MMARError)) throw error;
      assert.is(error.code, 'file');
      assert.not.match(error.message, '\n');
      assert.ok(edits.length || cut !== null, error.message);
    }
  });
  await fc.assert(property, { numRuns: 2000 });
});

test('a cancelled read says so', async () => {
  const opened = readHeader(sourceOf(raw('{}')), 'f.safetensors', AbortSignal.abort());
  await opened.then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'cancelled'),
  );
});

test.run();
