import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { advance } from '../../shaders/advance.ts';
import { device, run, tensor } from '../gpu.ts';

test('adds to the counters that are meant, and to no other', async () => {
  for (const [first, count, by] of [
    [0, 1, 1],
    [1, 2, 5],
    [3, 50, 7],
    [0, 53, 0],
  ]) {
    const before = Array.from({ length: 53 }, (_, i) => 10 * i),
      counter = tensor('u32', [53], before);
    await run((p) => advance(p, counter, by, first, count));
    assert.equal(
      [...(await device.read(counter))],
      before.map((v, i) => (i >= first && i < first + count ? v + by : v)),
    );
  }
});

test('one counter unless told, again at each replay', async () => {
  const counter = tensor('u32', [2], [3, 3]);
  const program = await device.record('count', (p) => {
    advance(p, counter, 2);
    advance(p, counter, 1);
  });
  for (let i = 0; i < 10; i++) await device.queue.run(program);
  assert.equal([...(await device.read(counter))], [33, 3]);
});

test.run();
