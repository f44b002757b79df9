// A norm within a product's kernel, as hardware has it, gives the bits of the norm and the product one after the other.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../engine/device.ts';
import type { ElementType, Tensor } from '../../engine/tensor.ts';
import { Tuning } from '../../engine/tuning.ts';
import { type Linear, linear } from '../../shaders/linear.ts';
import { type Norm, normalize } from '../../shaders/norm.ts';
import { swiglu } from '../../shaders/swiglu.ts';
import { device, hardwareDevice, numbers, run, tensor } from '../gpu.ts';

const hardware = await hardwareDevice();

/** Both ways' results, and how many launches the fused one took. */
async function both(on: Device, type: ElementType, m: number, k: number, n: number, kind: 'rms' | 'adaln' | 'affine') {
  const t = (rows: number, cols: number, seed: number): Tensor =>
    tensor(type, [rows, cols], numbers(rows * cols, type, seed), on);
  const x = t(m, k, 1),
    affine = { weight: t(1, k, 2), bias: t(1, k, 3) },
    layer: Linear = { weight: t(n, k, 4), bias: t(1, n, 5) },
    wide = 4 * Math.ceil(k / 4),
    modulation = { tensor: t(m + 2, 3 * wide, 6), firstRow: 2, shift: wide, scale: 0 };
  const norm: Norm = {
    rms: { kind: 'rms' as const, weight: affine.weight, eps: 1e-6 },
    adaln: { kind: 'layer' as const, affine, modulation, eps: 1e-6 },
    affine: { kind: 'layer' as const, modulation, eps: 1e-6 },
  }[kind];
  let launches = 0;
  const got = await run((p) => {
    const y = linear(p, x, layer, { norm, act: 'silu', type: 'f32' });
    launches = p.dispatches.length;
    return y;
  }, on);
  const want = await run((p) => linear(p, normalize(p, x, norm), layer, { act: 'silu', type: 'f32' }), on);
  return { got: [...got], want: [...want], launches };
}

for (const [type, m, k, n, kind] of [
  ['bf16', 1, 64, 200, 'rms'],
  ['bf16', 8, 70, 33, 'adaln'],
  ['f32', 3, 257, 12, 'affine'],
  ['bf16', 5, 300, 130, 'adaln'],
] as const) {
  test(`${type} [${m}, ${k}] × [${n}, ${k}], ${kind}`, async () => {
    const { got, want, launches } = await both(hardware, type, m, k, n, kind);
    assert.equal(got, want);
    assert.is(launches, 1);
  });
}

test('each variant', async () => {
  for (const variant of ['rows_8', 'rows_4', 'rows_1']) {
    hardware.tuning = new Tuning(`matmul:${variant}`);
    const { got, want, launches } = await both(hardware, 'bf16', 8, 132, 20, 'rms');
    assert.equal(got, want, variant);
    assert.is(launches, 1);
  }
  hardware.tuning = new Tuning('');
});

for (const [m, k, width, norm] of [
  [1, 64, 40, true],
  [8, 70, 33, true],
  [13, 36, 6, false],
  [40, 36, 264, false],
] as const) {
  test(`SwiGLU within gate and up: [${m}, ${k}], ${width} columns, norm ${norm}`, async () => {
    const up = 4 * Math.ceil(width / 4);
    for (const [on, type] of [hardware, device].flatMap((on) =>
      (['f32', 'bf16'] as const).map((t) => [on, t] as const),
    )) {
      const t = (rows: number, cols: number, seed: number): Tensor =>
        tensor(type, [rows, cols], numbers(rows * cols, type, seed), on);
      const x = t(m, k, 1),
        weight = t(up + width, k, 2),
        options = norm ? { norm: { kind: 'rms' as const, weight: t(1, k, 3), eps: 1e-6 } } : {};
      let launches = 0;
      const got = await run((p) => {
        const y = linear(p, x, { weight }, { ...options, swiglu: width });
        launches = p.dispatches.length;
        return y;
      }, on);
      const want = await run((p) => swiglu(p, linear(p, x, { weight }, options), width), on);
      assert.equal([...got], [...want]);
      assert.is(launches, norm && on.software ? 2 : 1, `${type}`);
    }
  });
}

test('image tokens of few rows meet the merged weight behind a norm too', async () => {
  const t = (rows: number, cols: number, seed: number): Tensor =>
    tensor('bf16', [rows, cols], numbers(rows * cols, 'bf16', seed), hardware);
  const x = t(3, 40, 1),
    norm: Norm = { kind: 'rms', weight: t(1, 40, 2), eps: 1e-6 },
    merged = t(24, 40, 3);
  const got = await run((p) => linear(p, x, { weight: t(24, 40, 4), merged }, { norm, lora: true }), hardware);
  assert.equal([...got], [...(await run((p) => linear(p, x, { weight: merged }, { norm }), hardware))]);
});

test('many rows, and rows too long for workgroup memory, are normalized on their own', async () => {
  for (const [m, k] of [
    [9, 20],
    [2, 20_000],
  ]) {
    const { got, want, launches } = await both(hardware, 'f32', m, k, 4, 'rms');
    assert.equal(got, want);
    assert.is(launches, 2);
  }
});

test('a norm that does not fit is told by the norm', async () => {
  const x = tensor('f32', [2, 8], numbers(16)),
    layer = { weight: tensor('f32', [4, 8], numbers(32)) };
  const wrong: Norm = { kind: 'rms', weight: tensor('f32', [4], numbers(4)), eps: 1e-6 };
  const error = await run((p) => linear(p, x, layer, { norm: wrong })).catch((e: Error) => e);
  assert.match(String(error), /rms_norm: test f32\[2,8\], test f32\[4\]; want a weight as wide as x/);
});

test.run();
