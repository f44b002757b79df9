// What is wrong is said in one line, before a model is loaded; exit codes 1 and 2.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adapters, failed, mmar, newFolder, reference, root } from './mmar.ts';

const commands = ['generate', 'describe', 'encode', 'decode', 'trace', 'inspect', 'adapters', 'bench'];
const apple = path.join(reference, 'red-apple.png'),
  folder = newFolder();
fs.mkdirSync(path.join(folder, 'inside'));
fs.writeFileSync(path.join(folder, 'text.png'), 'no picture');
fs.writeFileSync(path.join(folder, 'cut.png'), fs.readFileSync(apple).subarray(0, 200));

for (const command of commands) {
  test(`${command} --help`, async () => {
    const { code, stdout, stderr } = await mmar([command, '--help']);
    assert.is(code, 0);
    assert.is(stderr, '');
    assert.match(stdout, new RegExp(`^Usage: mmar ${command} `));
    assert.match(stdout, new RegExp(`Examples:\n  mmar ${command}`));
  });
}

test('--help and --version', async () => {
  const help = await mmar(['--help']);
  assert.is(help.code, 0);
  for (const command of commands) assert.match(help.stdout, new RegExp(`^  ${command} `, 'm'));
  assert.match((await mmar(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.is((await mmar([])).code, 2);
});

const wrongUsage: [string[], RegExp][] = [
  [['draw'], /unknown command 'draw'/],
  [['generate', '--sed', '1'], /unknown option '--sed'.*--seed/],
  [['generate', '--seed'], /--seed <n>.*missing; mmar generate --help/],
  [['generate', 'red', 'apple'], /too many arguments/],
  [['generate', '--seed', '-1'], /--seed is "-1"; give a whole number from 0/],
  [['generate', '--seed', '1.5'], /--seed is "1.5"/],
  [['generate', '--seed', 'abc'], /--seed is "abc"/],
  [['generate', '--seed', '9007199254740992'], /--seed is "9007199254740992"; .*2\^53 - 1/],
  [['generate', '--seed', '9007199254740991', '-n', '2'], /-n 2 passes 2\^53 - 1/],
  [['generate', '-n', '0'], /--count is "0"/],
  [['generate', '--steps', '0'], /--steps is "0"/],
  [['bench', 'a.json'], /--compare a\.json compares reports/],
  [['bench', '--compare', 'a.json'], /wants two reports or more/],
  [['bench', '--shape', '1x2'], /--shape is "1x2"; give three whole numbers/],
  [['bench', '--wgsl', 'a.wgsl'], /--as matmul/],
  [['bench', '--as', 'matmul'], /give --wgsl FILE as well/],
  [['bench', '--dump', 'voodoo'], /no kernel is called "voodoo"; give one of .*matmul/],
  [['generate', '--steps', '1001'], /steps is 1001; give a whole number from 1 to 1000/],
  [['generate', '--iterations', '1e3'], /--iterations is "1e3"/],
  [['generate', '--cfg', 'nan'], /--cfg is "nan"; give a number from 0 up/],
  [['generate', '--cfg', 'Infinity'], /--cfg is "Infinity"/],
  [['generate', '--cfg-schedule', 'cosine'], /--cfg-schedule is "cosine"; give constant or linear/],
  [['generate', '--eta', '2'], /--eta is "2"; give a number from 0 to 1/],
  [['generate', '--temperature', '-0.1'], /--temperature is "-0.1"/],
  [['generate', '--precision', 'f16'], /--precision is "f16"; give bf16 or f32/],
  [['generate', '--model', ''], /--model is empty/],
  [['generate', '-o', 'picture.jpg'], /picture\.jpg.*\.png/],
  [['describe'], /missing required argument 'image'/],
  [['describe', apple, '--top-p', '0'], /--top-p is "0"; give a number over 0, at most 1/],
  [['describe', apple, '--max-new-tokens', '0'], /--max-new-tokens is "0"/],
  [['trace', 'encode'], /--in <file>/],
  [['trace', 'encode', '--in', 'x'], /--out or --compare/],
  [['trace', 'paint', '--in', 'x', '--compare'], /no part "paint"; give one of encode/],
  [['trace', 'encode', '--in', 'x', '--compare', '--set', 'step=1'], /--set step=1 is no setting; .*steps/],
];
for (const [words, message] of wrongUsage) {
  test(`exit 2: ${words.join(' ').slice(0, 70)}`, async () => failed(await mmar(words, { cwd: folder }), 2, message));
}

const failures: [string[], RegExp][] = [
  [['generate', '--model', 'nowhere'], /nowhere is not there: check the path/],
  [['generate', '--model', '.'], /no checkpoint: it has neither model\.safetensors/],
  [['generate', '--model', 'text.png'], /text\.png is no folder: give the folder/],
  [['generate', '-o', 'nowhere/a.png'], /cannot write nowhere\/a\.png: nowhere is not there: make that folder first/],
  [['generate', '-o', 'text.png/a.png'], /text\.png is no folder/],
  [['generate', '--adapter', 'voodoo'], /no adapter matches "voodoo": found .*SwiftShader.*choose one/],
  [['describe', 'nowhere.png'], /nowhere\.png is not there: check the path/],
  [['describe', 'text.png'], /text\.png is no picture that mmar reads: give a PNG, JPEG or WebP/],
  [['describe', 'cut.png'], /cut\.png is a damaged picture/],
  [['describe', '.'], /is a folder: give a file/],
  [['encode', 'text.png'], /text\.png is no picture/],
  [['encode', apple, '-o', 'nowhere/a.safetensors'], /nowhere is not there/],
  [['encode', apple, '-o', 'inside'], /cannot write inside: it is a folder: give a file's name/],
  [['decode', 'text.png'], /text\.png .*no sound safetensors file/],
  [
    ['decode', path.join(reference, '../model.safetensors'), '-o', 'a.png'],
    /has no tensor tokens; give a file that mmar encode wrote/,
  ],
  [['trace', 'encode', '--in', 'nowhere.safetensors', '--compare'], /nowhere\.safetensors: check the path/],
  [['bench', '--compare', 'nowhere.json', 'text.png'], /nowhere\.json is not there: check the path/],
  [['bench', '--compare', 'text.png', '.'], /text\.png is no JSON .*give a report that mmar bench --json wrote/],
  [['inspect', 'nowhere'], /nowhere is not there: check the path/],
];
for (const [words, message] of failures) {
  test(`exit 1: ${words.join(' ').replace(reference, '…')}`, async () =>
    failed(await mmar(words, { cwd: folder }), 1, message));
}

test('nothing was written by what failed', () =>
  assert.equal(fs.readdirSync(folder).sort(), ['cut.png', 'inside', 'text.png']));

test('adapters', async () => {
  const found = await adapters();
  assert.ok(found.some(({ name, kind }) => /swiftshader/i.test(name) && kind === 'software'));
  for (const { vendor, features, limits } of found) {
    assert.type(vendor, 'string');
    assert.ok(features.length);
    assert.ok(limits.maxStorageBufferBindingSize >= 2 ** 27);
  }
  const { stdout, code } = await mmar(['adapters']);
  assert.is(code, 0);
  for (const { name } of found) assert.ok(stdout.includes(name));
});

const full = '/dev/full';
test('output that cannot be written is a failure in one line; where nobody can hear that, it ends all the same', () => {
  if (!fs.existsSync(full)) return;
  const run = (words: string[], stdio: (number | 'pipe')[]) =>
    spawnSync(process.execPath, [path.join(root, 'cli/mmar.mjs'), ...words], {
      stdio,
      encoding: 'utf8',
      timeout: 20_000,
    });
  const nowhere = fs.openSync(full, 'w');
  const told = run(['inspect'], ['pipe', nowhere, 'pipe']);
  assert.equal([told.status, told.stderr], [1, 'mmar: cannot write the output: the disk is full: free some space\n']);
  assert.is(run(['inspect', '--model', '/nowhere'], ['pipe', 'pipe', nowhere]).status, 1);
  assert.is(run(['inspect'], ['pipe', nowhere, nowhere]).status, 1);
  fs.closeSync(nowhere);
});

test.run();
