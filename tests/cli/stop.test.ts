// Ctrl-C: within a second, whatever it is doing, and nothing half-written is left.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mmar, new_folder } from './mmar.ts';

for (const stop_after of [250, 600, 1500, 3000]) {
  test(`stops after ${stop_after} ms`, async () => {
    const cwd = new_folder();
    const { code, stderr, stopping } = await mmar(['generate', 'sunflower', '--steps', '500', '--adapter', 'swiftshader'], { cwd, stop_after });
    assert.is(code, 130);
    assert.match(stderr, /(^|\n)mmar: stopped\n$/);
    assert.ok(stopping < 1000, `took ${stopping} ms`);
    assert.equal(fs.readdirSync(cwd), []);
  });
}

test('pictures that were finished stay', async () => {
  const cwd = new_folder();
  const { code, stdout } = await mmar(['generate', 'sunflower', '-n', '100000', '--iterations', '1', '--steps', '1'], { cwd, stop_after: 4000 });
  assert.is(code, 130);
  const told = [...stdout.matchAll(/^(\S+\.png) /gm)].map(([, file]) => file);
  assert.ok(told.length > 0);
  for (const file of told) assert.ok(fs.statSync(`${cwd}/${file}`).size > 1000);
  assert.ok(fs.readdirSync(cwd).every((file) => file.endsWith('.png')));
});

test.run();
