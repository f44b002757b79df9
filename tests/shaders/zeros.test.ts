import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { zeros } from '../../shaders/zeros.ts';
import { device, numbers, run, smallDevice, tensor } from '../gpu.ts';

test('every element of any shape and type becomes zero, also of a tensor in pieces', async () => {
  const small = await smallDevice(8192);
  for (const on of [device, small])
    for (const type of ['bf16', 'f32'] as const)
      for (const [rows, cols] of [
        [1, 1],
        [3, 7],
        [130, 66],
      ]) {
        const x = tensor(type, [rows, cols], numbers(rows * cols, type).fill(1), on);
        await run((p) => void zeros(p, x), on);
        assert.equal(await on.read(x), new Float32Array(rows * cols), `${type} [${rows}, ${cols}]`);
      }
});

test('what lies beside it stays', async () => {
  const [x, y] = [tensor('f32', [5], numbers(5)), tensor('f32', [5], numbers(5))];
  await run((p) => void zeros(p, x));
  assert.equal(await device.read(y), numbers(5));
});

test.run();
