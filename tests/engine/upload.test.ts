// Rows reach the device through a few buffers, in the order of the queue.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packRows } from '../../engine/tensor.ts';
import { Uploads } from '../../engine/upload.ts';
import { add } from '../../shaders/add.ts';
import { numbers, smallDevice, tensor } from '../gpu.ts';

test('rows come to their places, over the borders of pieces and through rows longer than a buffer', async () => {
  const device = await smallDevice(512);
  const uploads = new Uploads(device, 2, 64);
  const values = numbers(100 * 7);
  const t = device.tensor('t', 'f32', [100, 7]);
  assert.ok(t.pieces.length > 3);
  // One row, two of them, then many: a buffer that was made for fewer comes back.
  for (let row = 0, count = 1; row < 100; row += count, count = Math.min(2 * count, 100 - row)) {
    const bytes = packRows('f32', 7, values.slice(7 * row, 7 * (row + count)));
    const slot = await uploads.take(bytes.length);
    slot.bytes.set(bytes);
    uploads.send(slot, t, row, count);
  }
  assert.equal([...(await device.read(t))], [...values]);
  uploads.destroy();
  device.destroy();
});

test('no more buffers than asked for, and what was recorded before runs before', async () => {
  const device = await smallDevice(Infinity);
  const uploads = new Uploads(device, 2, 64);
  const [x, y] = [tensor('f32', [1, 4], [1, 2, 3, 4], device), tensor('f32', [1, 4], [], device)];
  await device.queue.run(await device.record('sum', (p) => void add(p, x, x, y)));
  const [one] = [await uploads.take(16), await uploads.take(16)];
  const third = uploads.take(16);
  const soon = await Promise.race([
    third.then(() => 'third'),
    new Promise((resolve) => setTimeout(resolve, 100, 'none')),
  ]);
  assert.is(soon, 'none');
  one.bytes.set(packRows('f32', 4, [9, 9, 9, 9]));
  uploads.send(one, x, 0, 1);
  await third;
  assert.equal([...(await device.read(y))], [1, 2, 3, 4]);
  assert.equal([...(await device.read(x))], [9, 9, 9, 9]);
  uploads.destroy();
  device.destroy();
});

test.run();
