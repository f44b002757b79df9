import { test } from 'uvu';
import { gate } from '../../shaders/gate.ts';
import { scale } from '../../shaders/scale.ts';
import { close, raw, run, shapeError, tensor, unpad } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [rows, cols] of [
    [1, 1],
    [3, 7],
    [40, 20],
  ]) {
    test(`${type} [${rows}, ${cols}]: forward, and its gradient`, async () => {
      const first = 4 * Math.ceil(cols / 4),
        wide = 2 * first,
        x = random(type, [rows, cols], 1),
        g = random(type, [rows + 1, wide], 2),
        r = random(type, [rows, cols], 3);
      const forward = (v: Record<'x' | 'g' | 'r', ArrayLike<number>>) =>
        Float64Array.from(v.x, (y, i) => y * v.g[(Math.floor(i / cols) + 1) * wide + first + (i % cols)] + v.r[i]);
      const bound = type === 'f32' ? 1e-6 : 4e-3;
      const got = await run((p) =>
        raw(
          gate(
            p,
            tensor(type, [rows, cols], x.values),
            { tensor: tensor(type, [rows + 1, wide], g.values), first, firstRow: 1 },
            tensor(type, [rows, cols], r.values),
          ),
        ),
      );
      close(unpad(got, cols), forward({ x: x.values, g: g.values, r: r.values }), bound);
      await checkGradients(
        { x, g, r },
        (p, t) => gate(p, t.x, { tensor: scale(p, t.g, 1), first, firstRow: 1 }, t.r),
        forward,
        bound,
      );
    });
  }
}

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => gate(p, tensor('f32', [2, 5], []), { tensor: tensor('f32', [2, 8], []), first: 4 }),
    /gate: test f32\[2,5\], test f32\[2,8\]; want a gate f32\[2, 9\] or larger/,
  ));

test.run();
