// Ctrl-C: within a second, whatever it is doing, and nothing half-written is left.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mmar, newFolder, type Run } from './mmar.ts';

/** One picture that takes any machine minutes. */
const long = ['generate', 'sunflower', '--steps', '1000', '--iterations', '64', '--adapter', 'swiftshader'];

/** @param early mmar may not be there yet to say a word: Node itself is starting, or the sources are being bundled */
function stopped({ killedBy, stderr, stopping }: Run, early = false): void {
  assert.is(killedBy, 'SIGINT');
  if (!early || stderr) assert.match(stderr, /(^|\n)mmar: stopped\n$/);
  assert.ok(stopping < 1000, `took ${stopping} ms`);
}

for (const stopAfter of [250, 600, 8000]) {
  test(`after ${stopAfter} ms`, async () => {
    const cwd = newFolder();
    stopped(await mmar(long, { cwd, stopAfter }), stopAfter < 1000);
    assert.equal(fs.readdirSync(cwd), []);
  });
}

test('while it draws', async () => {
  const cwd = newFolder(),
    run = await mmar(long, { cwd, stopAt: 'software adapter' });
  stopped(run);
  assert.equal(fs.readdirSync(cwd), []);
});

test('pictures that were finished stay', async () => {
  const cwd = newFolder(),
    run = await mmar(['generate', 'sunflower', '-n', '100000', '--iterations', '1', '--steps', '1'], {
      cwd,
      stopAt: '-3.png',
    });
  stopped(run);
  const told = [...run.stdout.matchAll(/^(\S+\.png) /gm)].map(([, file]) => file);
  assert.ok(told.length >= 4);
  for (const file of told) assert.ok(fs.statSync(`${cwd}/${file}`).size > 1000);
  assert.ok(fs.readdirSync(cwd).every((file) => file.endsWith('.png')));
});

test.run();
