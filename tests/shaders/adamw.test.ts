import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adamw, adamwStep } from '../../shaders/adamw.ts';
import { bf16, close, device, numbers, run, shapeError, tensor } from '../gpu.ts';

const settings = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.02, clip: 3 };

for (const shape of [[1], [5, 7], [3, 66]]) {
  test(`[${shape}]: three steps as PyTorch takes them, with an average and bf16 weights, clipped once`, async () => {
    const n = shape.reduce((a, b) => a * b),
      start = numbers(n, 'f32', 1),
      zeros = () => tensor('f32', shape, new Float32Array(n));
    const state = {
      master: tensor('f32', shape, start),
      moment1: zeros(),
      moment2: zeros(),
      average: tensor('f32', shape, start),
      weight: tensor('bf16', shape, start),
    };
    const want = {
      w: Float64Array.from(start),
      m: new Float64Array(n),
      v: new Float64Array(n),
      e: Float64Array.from(start),
    };
    for (let step = 1; step <= 3; step++) {
      const g = numbers(n, 'f32', step + 5),
        norm = step === 2 ? 12 : 0.5,
        lr = 1e-2 / step,
        decay = 0.75;
      const gradient = tensor('f32', shape, g);
      await run((p) =>
        adamw(
          p,
          state,
          gradient,
          tensor('f32', [1], [norm]),
          tensor('f32', [4], adamwStep(lr, step, settings, decay)),
          settings,
        ),
      );
      assert.equal([...(await device.read(gradient))], Array(n).fill(0));
      for (let i = 0; i < n; i++) {
        const c = g[i] * Math.min(1, settings.clip / (norm + 1e-6));
        want.w[i] *= 1 - lr * settings.weight_decay;
        want.m[i] += 0.1 * (c - want.m[i]);
        want.v[i] = 0.95 * want.v[i] + 0.05 * c * c;
        want.w[i] -=
          ((lr / (1 - 0.9 ** step)) * want.m[i]) / (Math.sqrt(want.v[i]) / Math.sqrt(1 - 0.95 ** step) + settings.eps);
        want.e[i] += (1 - decay) * (want.w[i] - want.e[i]);
      }
    }
    close(await device.read(state.master), want.w, 1e-6);
    close(await device.read(state.moment1), want.m, 2e-6);
    close(await device.read(state.moment2), want.v, 2e-6);
    close(await device.read(state.average), want.e, 1e-6);
    close(await device.read(state.weight), want.w.map(bf16), 4e-3);
  });
}

test('a gradient of zeros moves a weight by its decay alone', async () => {
  const of = (x: number) => tensor('f32', [3], [x, x, x]);
  const state = { master: of(2), moment1: of(0), moment2: of(0) };
  await run((p) =>
    adamw(p, state, of(0), tensor('f32', [1], [0]), tensor('f32', [4], adamwStep(0.1, 1, settings, 0)), settings),
  );
  close(await device.read(state.master), Array(3).fill(2 * (1 - 0.1 * 0.02)), 1e-7);
});

test('a gradient that is no number changes nothing, and is gone', async () => {
  const of = (...x: number[]) => tensor('f32', [3], x);
  for (const [g, norm] of [
    [Number.NaN, Number.NaN],
    [1e30, Infinity],
  ]) {
    const state = { master: of(2, 3, 4), moment1: of(5, 6, 7), moment2: of(8, 9, 1), average: of(1, 2, 3) };
    const rates = tensor('f32', [4], adamwStep(0.1, 1, settings, 0.5));
    const gradient = of(0, g, 1);
    await run((p) => adamw(p, state, gradient, tensor('f32', [1], [norm]), rates, settings));
    assert.equal([...(await device.read(gradient))], [0, 0, 0]);
    const found = await Promise.all(Object.values(state).map((t) => device.read(t)));
    assert.equal(
      found.map((x) => [...x]),
      [
        [2, 3, 4],
        [5, 6, 7],
        [8, 9, 1],
        [1, 2, 3],
      ],
    );
  }
});

test('operands that do not fit are errors that name them', () => {
  const of = (n: number) => tensor('f32', [n], new Float32Array(n));
  return shapeError(
    (p) => adamw(p, { master: of(3), moment1: of(3), moment2: of(3) }, of(4), of(1), of(4), settings),
    /adamw: test f32\[3\], test f32\[4\]/,
  );
});

test.run();
