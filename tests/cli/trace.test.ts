// `mmar trace` on golden cases, through files; tests/model/golden.test.ts runs all of them in one process.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareOutputs, difference } from '../../cli/compare.ts';
import { readTensors, writeTensors } from '../../cli/files.ts';
import { failed, golden, mmar, mmarJSON, newFolder } from './mmar.ts';

const folder = newFolder(),
  onGolden = golden ? test : test.skip;
const model = path.join(golden ?? '', 'plain'),
  caseOf = (name: string) => path.join(model, 'cases', `${name}.safetensors`);
if (!golden) console.log('skipped: no golden cases in tests/golden; MMAR_GOLDEN names their folder');
const f32 = ['--precision', 'f32', '--model', model];

for (const [part, name] of [
  ['text', 'text'],
  ['visual', 'visual'],
  ['diffusion', 'diffusion'],
  ['sample', 'sample-eta1'],
  ['describe', 'describe'],
]) {
  onGolden(`${name}: compares, and writes what it computed`, async () => {
    const out = `${name}.safetensors`;
    const { code, stdout } = await mmar(['trace', part, '--in', caseOf(name), '--out', out, '--compare', ...f32], {
      cwd: folder,
    });
    assert.is(code, 0, stdout);
    assert.match(stdout, /: within bounds/);
    const { tensors: written } = await readTensors(path.join(folder, out)),
      { tensors: inputs } = await readTensors(caseOf(name));
    const expected = [...inputs.keys()].filter((key) => key.startsWith('expect.')).map((key) => key.slice(7));
    assert.equal([...written.keys()].sort(), expected.sort());
    assert.is(written.get('ids')?.integers ?? false, name === 'describe');
    for (const [key, { passed }] of Object.entries(compareOutputs(written, inputs, { tolerance: 1e-4, sameIds: true })))
      assert.ok(passed, key);
  });
}

onGolden('bf16 is held to the reference in bf16', async () => {
  const { comparison } = await mmarJSON<{
    comparison: Record<string, { against: Record<string, { rms: number }>; reference: number; passed: boolean }>;
  }>(['trace', 'visual', '--in', caseOf('visual'), '--compare', '--model', model]);
  const { against, reference, passed } = comparison.visual;
  assert.ok(passed && against.expect.rms > 1e-4 && against.expect.rms <= 1.5 * reference);
});

onGolden('exits 1 over the tolerance', async () => {
  const { code, stdout, stderr } = await mmar([
    'trace',
    'visual',
    '--in',
    caseOf('visual'),
    '--compare',
    '--tolerance',
    '1e-9',
    ...f32,
  ]);
  assert.is(code, 1);
  assert.match(stdout, /^visual \[.+\]: OFF$/m);
  assert.match(stderr, /mmar: trace visual: visual is off by more than allowed; .+\n$/);
});

onGolden('--set goes over the settings of the file', async () => {
  const ids = async (...words: string[]) =>
    (
      await mmarJSON<{ outputs: Record<string, number[]> }>(
        ['trace', 'describe', '--in', caseOf('describe'), '--out', 'ids.safetensors', ...f32, ...words],
        folder,
      )
    ).outputs.ids;
  assert.equal(await ids('--set', 'max_new_tokens=3'), [3]);
  assert.is.not((await ids())[0], 3);
});

onGolden('inputs that are missing or wrong', async () => {
  await writeTensors(
    path.join(folder, 'few.safetensors'),
    new Map([['x', { shape: [2, 4], values: new Float32Array(8) }]]),
    {},
  );
  const run = await mmar(
    ['trace', 'diffusion', '--in', 'few.safetensors', '--out', 'o.safetensors', '--model', model],
    { cwd: folder },
  );
  assert.is(run.code, 2);
  assert.match(run.stderr, /mmar: trace diffusion needs the input [tz]; the file has x\n$/);
  failed(
    await mmar(['trace', 'diffusion', '--in', 'few.safetensors', '--compare', '--model', model], { cwd: folder }),
    1,
    /no tensor expect\.NAME/,
  );
  assert.not(fs.existsSync(path.join(folder, 'o.safetensors')));
});

test('comparing', () => {
  const tensor = (...values: number[]) => ({ shape: [values.length], values }),
    ids = (...values: number[]) => ({ ...tensor(...values), integers: true });
  const compare = (
    out: ReturnType<typeof ids> | ReturnType<typeof tensor>,
    expect: ReturnType<typeof tensor>,
    bf16 = expect,
    rule = {},
  ) =>
    compareOutputs(
      new Map([['a', out]]),
      new Map([
        ['expect.a', expect],
        ['expect_bf16.a', bf16],
      ]),
      { sameIds: true, ...rule },
    ).a;
  assert.equal(compare(tensor(3, 4), tensor(3, 4)).against.expect, { max: 0, rms: 0 });
  assert.equal(compare(tensor(3, 5), tensor(3, 4)).against.expect, { max: 1, rms: 0.2 });
  assert.not(compare(tensor(3, NaN), tensor(3, 4), undefined, { tolerance: 1 }).passed);
  assert.not(compare(tensor(3), tensor(3, 4), undefined, { tolerance: 1 }).passed);
  assert.ok(compare(tensor(3, 5), tensor(3, 4), tensor(4, 4), { referenceFactor: 1 }).passed);
  assert.not(compare(tensor(3, 5), tensor(3, 4), tensor(3, 4), { referenceFactor: 1.5 }).passed);
  assert.equal(difference(tensor(3, 4, 5), tensor(3, 4)), { max: Infinity, rms: Infinity });
  assert.ok(compare(ids(1, 2), tensor(1, 2)).passed);
  assert.not(compare(ids(1, 2), tensor(1, 3)).passed);
  assert.not(compare(ids(1), tensor(1, 3)).passed);
  assert.is(compare(ids(1, 2, 3), tensor(1, 2)).note, 'differs from position 2 on: 3, want its end');
});

test.run();
