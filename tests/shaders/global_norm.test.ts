import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { globalNorm } from '../../shaders/global_norm.ts';
import { close, numbers, run, shapeError, smallDevice, tensor } from '../gpu.ts';

test('the norm of tensors of any shape together, more than a workgroup sums', async () => {
  const shapes = [[1], [3, 7], [5], [300, 90], [2, 3, 5]],
    values = shapes.map((shape, i) =>
      numbers(
        shape.reduce((a, b) => a * b),
        'f32',
        i + 1,
      ),
    );
  const want = Math.sqrt(values.flatMap((v) => [...v]).reduce((a, v) => a + v * v, 0));
  close(
    await run((p) =>
      globalNorm(
        p,
        shapes.map((shape, i) => tensor('f32', shape, values[i])),
      ),
    ),
    [want],
    1e-6,
  );
});

test('a tensor in pieces; zeros', async () => {
  const small = await smallDevice(1024),
    x = numbers(100 * 7);
  const want = Math.sqrt(x.reduce((a, v) => a + v * v, 0));
  close(await run((p) => globalNorm(p, [tensor('f32', [100, 7], x, small)]), small), [want], 1e-6);
  assert.equal([...(await run((p) => globalNorm(p, [tensor('f32', [3, 5], new Float32Array(15))])))], [0]);
});

test('another type is an error that names it', () =>
  shapeError((p) => globalNorm(p, [tensor('bf16', [2, 5], [])]), /global_norm: test bf16\[2,5\]/));

test.run();
