// A kernel is shaders/NAME.ts, which records it, its WGSL in NAME.wgsl or parts NAME_part.wgsl, a test and a bench of its name.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const files = fs.readdirSync('shaders');
const named = (extension: string) =>
  files.filter((file) => file.endsWith(extension)).map((file) => file.slice(0, -extension.length));
const kernels = named('.ts').filter((name) => fs.readFileSync(`shaders/${name}.ts`, 'utf8').includes('.operation('));

/** The kernel that a WGSL file is, or is a part of. */
const kernelOf = (wgsl: string): string | undefined =>
  kernels.filter((name) => wgsl === name || wgsl.startsWith(`${name}_`)).sort((a, b) => b.length - a.length)[0];

test('every kernel has a test and a bench of its name', () => {
  assert.ok(kernels.length > 30);
  for (const folder of ['tests', 'bench']) {
    const missing = kernels.filter(
      (name) => !fs.existsSync(`${folder}/shaders/${name}.${folder.replace(/s$/, '')}.ts`),
    );
    assert.equal(missing, [], folder);
  }
});

test('every WGSL file is a kernel or a part of one, and every kernel has one', () => {
  const shaders = named('.wgsl');
  assert.equal(
    shaders.filter((name) => !kernelOf(name)),
    [],
  );
  assert.equal(
    kernels.filter((name) => !shaders.some((wgsl) => kernelOf(wgsl) === name)),
    [],
  );
});

test('a bench is of something in shaders', () => {
  const benches = fs.readdirSync('bench/shaders').map((file) => file.replace('.bench.ts', '.ts'));
  assert.equal(
    benches.filter((file) => !files.includes(file)),
    [],
  );
});

test.run();
