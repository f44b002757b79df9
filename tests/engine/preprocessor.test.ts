// biome-ignore-all lint/suspicious/noTemplateCurlyInString: constants of shaders are written so
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Constants, hashOf, preprocess } from '../../engine/preprocessor.ts';
import matmulWgsl from '../../shaders/matmul.wgsl';

const expand = (text: string, constants: Constants = {}): string =>
  preprocess({ file: 'a.wgsl', text }, constants).code.trimEnd();
const fault = (text: string, constants: Constants = {}): string => {
  try {
    expand(text, constants);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};

test('lines are repeated with the index, loops nest, words stand for themselves', () => {
  assert.is(expand('a\n#for i in 3\nx#i = #iu;\n#endfor\nb'), 'a\nx0 = 0u;\nx1 = 1u;\nx2 = 2u;\nb');
  assert.is(
    expand('#for s in x low\n  #for i in 2\n#s[#i] #s_pitch\n  #endfor\n#endfor'),
    'x[0] x_pitch\nx[1] x_pitch\nlow[0] low_pitch\nlow[1] low_pitch',
  );
  assert.is(expand('#for i in ${n}\nx#i\n#endfor', { n: 2 }), 'x0\nx1');
  assert.is(expand('a\n#for i in 0\nx#i\n#endfor\nb'), 'a\nb');
});

test('#if chooses lines, also within loops and each other; what is not given is false', () => {
  const text = '#if ${a}\none\n#if ${b}\nboth\n#endif\n#elif ${b}\ntwo\n#else\nnone\n#endif\nend ${c}';
  assert.is(expand(text, { a: 1, c: 7 }), 'one\nend 7');
  assert.is(expand(text, { a: 1, b: true, c: 7 }), 'one\nboth\nend 7');
  assert.is(expand(text, { b: 'yes', c: 7 }), 'two\nend 7');
  assert.is(expand(text, { a: 0, c: 7 }), 'none\nend 7');
  assert.is(expand('#for i in 2\n  #if ${a}\n  x#i\n  #else\n  y#i\n  #endif\n#endfor', { a: 1 }), '  x0\n  x1');
});

test('enable comes first, wherever it stands, and each line keeps its place', () => {
  const lib = { file: 'lib.wgsl', text: '#if ${s}\nenable subgroups;\n#endif\nfn f() {}' },
    source = { file: 'a.wgsl', text: '// a\n#include "lib.wgsl"\nf();', includes: { 'lib.wgsl': lib } };
  const { code, places } = preprocess(source, { s: true });
  assert.is(code.trimEnd(), 'enable subgroups;\n// a\nfn f() {}\nf();');
  assert.equal(places[0], { file: 'lib.wgsl', line: 2 });
  assert.equal(places[3], { file: 'a.wgsl', line: 3 });
  assert.is(preprocess(source).code.trimEnd(), '// a\nfn f() {}\nf();');
});

test('other text stays as it is', () => {
  for (const text of ['let a = 1;', '// `a` \\n $b #12 { }', '\tfn f() {\n\n  return;\n}'])
    assert.is(expand(text), text);
});

test('files are included once, and every line knows where it was written', () => {
  const types = { file: 'lib/types.wgsl', text: '// types\nalias t = ${x};' },
    math = { file: 'lib/math.wgsl', text: '#include "types.wgsl"\nfn f() {}', includes: { 'types.wgsl': types } };
  const main = {
    file: 'main.wgsl',
    text: '// main\n#include "lib/math.wgsl"\n#include "lib/types.wgsl"\n#if ${y}\nno\n#endif\n#for i in 2\nrow#i\n#endfor',
    includes: { 'lib/math.wgsl': math, 'lib/types.wgsl': types },
  };
  const { code, places } = preprocess(main, { x: 'f32' });
  assert.is(code, '// main\n// types\nalias t = f32;\nfn f() {}\nrow0\nrow1\n');
  assert.equal(
    places.map(({ file, line }) => `${file}:${line}`),
    ['main.wgsl:1', 'lib/types.wgsl:1', 'lib/types.wgsl:2', 'lib/math.wgsl:2', 'main.wgsl:8', 'main.wgsl:8'],
  );
});

test('what cannot be expanded is an error at its line', () => {
  assert.is(fault('a\nlet b = ${tile_m};'), 'a.wgsl:2: the constant tile_m is not given');
  assert.match(fault('\n#include "lib/b.wgsl"'), /^a\.wgsl:2: there is no lib\/b\.wgsl to include/);
  assert.match(fault('a\n#for i in 3\nb'), /^a\.wgsl:2: #for without #endfor/);
  assert.match(fault('a\n#endfor'), /^a\.wgsl:2: #endfor without #for/);
  assert.match(fault('#for index in 3\n#endfor'), /^a\.wgsl:1: want #for LETTER/);
  assert.is(fault('a\n#if ${a}\nb'), 'a.wgsl:2: #if without #endif');
  assert.is(fault('#if ${a}\n#endif\n#endif'), 'a.wgsl:3: #endif without #if');
  assert.is(fault('#if ${a}\n#else\n#elif ${b}\n#endif'), 'a.wgsl:3: #elif behind #else');
  assert.is(fault('#if a\n#endif'), 'a.wgsl:1: want #if ${CONSTANT}');
});

test('an imported file knows its place and what it includes; sources are told apart by what they say', () => {
  assert.is(matmulWgsl.file, 'shaders/matmul.wgsl');
  assert.ok(matmulWgsl.includes?.['lib/types.wgsl'].text.includes('alias bf16x4'));
  assert.is(hashOf({ ...matmulWgsl }), hashOf(matmulWgsl));
  assert.is.not(hashOf({ ...matmulWgsl, text: `${matmulWgsl.text} ` }), hashOf(matmulWgsl));
  const includes = { ...matmulWgsl.includes, 'lib/types.wgsl': { file: 'shaders/lib/types.wgsl', text: '' } };
  assert.is.not(hashOf({ ...matmulWgsl, includes }), hashOf(matmulWgsl));
});

test.run();
