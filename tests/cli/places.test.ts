// Where mmar lies and what the machine has: a checkout at an odd path, a Vulkan loader that is none.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mmar, newFolder, root } from './mmar.ts';

const folder = newFolder();
test.after(() => fs.rmSync(folder, { recursive: true }));

/** Of a checkout, what git does not ignore, without the golden cases. */
const belongs = (file: string): boolean => !/^(node_modules|dist|\.git|tests\/golden)$/.test(path.relative(root, file));

test('a checkout at a path with a space and an umlaut builds, runs and tests itself', async () => {
  const place = path.join(folder, 'a b', 'ü');
  fs.cpSync(root, place, { recursive: true, filter: belongs });
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'));
  const { code, stdout } = await mmar(['adapters'], { root: place });
  assert.is(code, 0);
  assert.match(stdout, /swiftshader/i);
  const run = (...words: string[]) => execFileSync(process.execPath, words, { cwd: place, encoding: 'utf8' });
  assert.match(run('tests/run.mjs', 'loaders/dtype'), /^8 passed, 0 failed, 0 skipped$/m);
  run('esbuild.config.mjs');
  run('web/build.mjs');
  assert.ok(fs.existsSync(path.join(place, 'dist/browser/index.html')));
  assert.ok(fs.existsSync(path.join(place, 'dist/types/index.d.ts')));
});

test('a libvulkan.so.1 that does not load does not hide the packaged one', async () => {
  const lies = path.join(folder, 'lies');
  fs.mkdirSync(lies);
  fs.writeFileSync(path.join(lies, 'libvulkan.so.1'), 'no library');
  const { code, stdout } = await mmar(['adapters'], { env: { LD_LIBRARY_PATH: lies } });
  assert.is(code, 0);
  assert.match(stdout, /swiftshader/i);
});

test.run();
