import { test } from 'uvu';
import { sum } from '../../shaders/sum.ts';
import { close, numbers, run, shapeError, tensor } from '../gpu.ts';

test('of one, of a part of a quad, of more than a workgroup sums at once', async () => {
  for (const n of [1, 7, 1000]) {
    const x = numbers(n),
      want = x.reduce((a, b) => a + b, 0);
    close(await run((p) => sum(p, tensor('f32', [n], x))), [want], 1e-4);
    const squares = x.map((v) => v * v);
    close(
      await run((p) => sum(p, tensor('f32', [n], squares), 'sqrt')),
      [Math.sqrt(squares.reduce((a, b) => a + b))],
      1e-5,
    );
  }
});

test('another type is an error that names it', () =>
  shapeError((p) => sum(p, tensor('bf16', [5], [])), /sum: test bf16\[5\]; want f32/));

test.run();
