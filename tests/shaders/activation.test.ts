import { test } from 'uvu';
import { activation, activationBackward } from '../../shaders/activation.ts';
import { close, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';
import { checkGradients, random } from '../gradients.ts';
import { activations } from '../reference.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const act of ['gelu', 'silu'] as const) {
    test(`${act} ${type}: forward, and its gradient`, async () => {
      const x = random(type, [5, 7], 1, 4);
      const want = Float64Array.from(x.values, activations[act]);
      const got = unpad(await run((p) => raw(activation(p, tensor(type, [5, 7], x.values), act))), 7);
      close(got, want, type === 'f32' ? 3e-6 : 4e-3);
      await checkGradients(
        { x },
        (p, t) => activation(p, t.x, act),
        (v) => v.x.map(activations[act]),
        type === 'f32' ? 3e-6 : 4e-3,
      );
    });

    test(`${act} ${type}: far out the slope is 0 or 1`, async () => {
      const x = [-3e38, -100, -20, 20, 100, 3e38],
        of = (values: number[]) => tensor(type, [1, 6], values);
      const slope = await run((p) => activationBackward(p, of(x), act, of(Array(6).fill(1))));
      close(slope, [0, 0, 0, 1, 1, 1], 1e-6);
    });
  }
}

test('operands that do not fit are errors that name them', () =>
  shapeError(
    (p) => activationBackward(p, tensor('f32', [2, 5], numbers(10)), 'gelu', tensor('bf16', [2, 5], [])),
    /activation_backward: test f32\[2,5\], test bf16\[2,5\]/,
  ));

test.run();
