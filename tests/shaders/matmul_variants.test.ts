// The kernels of matmul that a GPU gets, which any adapter can run: all candidates of a shape give the same bits; `tiled` sums
// in the order of `direct`, `rows` splits the sum over threads.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../engine/device.ts';
import { Tuning } from '../../engine/tuning.ts';
import { type Linear, linear } from '../../shaders/linear.ts';
import { gemm } from '../../shaders/matmul.ts';
import { device, hardwareDevice, numbers, relativeRms, run, tensor } from '../gpu.ts';
import { matmul as reference } from '../reference.ts';

const hardware = await hardwareDevice(),
  forced = await hardwareDevice();
forced.tuning = new Tuning('other:x,matmul:direct');

/** The variant that was run. */
async function variantOf(on: Device, rows: number): Promise<string> {
  const weight = tensor('f32', [3, 5], numbers(15), on);
  const program = await on.record('variant', (p) => void linear(p, tensor('f32', [rows, 5], [], on), { weight }));
  return program.steps[0].dispatch.variant;
}

test('the rule, and a variant that is forced where it is a candidate', async () => {
  assert.is(await variantOf(hardware, 64), 'rows');
  assert.match(await variantOf(hardware, 65), /^tiled/);
  assert.is(await variantOf(forced, 64), 'rows');
  assert.is(await variantOf(forced, 65), 'direct');
  if (device.software) assert.is(await variantOf(device, 9), 'direct');
});

/** A device that forces a variant. */
async function forcing(variant: string): Promise<Device> {
  const on = await hardwareDevice();
  on.tuning = new Tuning(`matmul:${variant}`);
  return on;
}
const others = new Map<string, Device>();
for (const variant of [
  'rows_8',
  'rows_4',
  'rows_2',
  'rows_1',
  'tiled',
  'tiled_small',
  'tiled_one',
  'tiled_four',
  'direct',
])
  others.set(variant, await forcing(variant));

// Widths and k that fill tiles (64 and 128 columns and rows, 16 and 32 of k; 128 of k for the 32 threads of `rows`), and one
// more or less; variants whose bits must be the rule's, each a pipeline to compile.
for (const [m, k, n, variants = ''] of [
  [1, 1, 1],
  [3, 5, 7, 'rows_1'],
  [8, 100, 515, 'rows_8 rows_4'],
  [2, 256, 64],
  [7, 257, 65],
  [5, 1024, 12],
  [8, 1029, 4],
  [9, 32, 64],
  [16, 31, 63],
  [33, 130, 35, 'rows_8 rows_4 rows_1'],
  [64, 64, 128],
  [65, 36, 60, 'tiled tiled_small tiled_one tiled_four direct'],
  [130, 67, 131, 'tiled tiled_small tiled_one tiled_four direct'],
] as [number, number, number, string?][]) {
  const x = numbers(m * k, 'bf16'),
    w = numbers(n * k, 'bf16', 2),
    bias = numbers(n, 'bf16', 3),
    residual = numbers(m * n, 'f32', 4);
  const by = (on: Device) => {
    const layer = { weight: tensor('bf16', [n, k], w, on), bias: tensor('bf16', [n], bias, on) };
    return run(
      (p) => linear(p, tensor('bf16', [m, k], x, on), layer, { residual: tensor('f32', [m, n], residual, on) }),
      on,
    );
  };
  test(`[${m}, ${k}] × [${n}, ${k}]`, async () => {
    const want = reference(x, w, m, k, n).map((v, i) => v + bias[i % n] + residual[i]);
    const got = await by(hardware);
    assert.ok(relativeRms(got, want) < 1e-6, `off by ${relativeRms(got, want)}`);
    if (device.software && m > 64) assert.equal([...got], [...(await by(device))]);
    for (const variant of variants.split(' ').filter(Boolean)) {
      if (device.software) assert.is(await variantOf(others.get(variant)!, m), variant);
      assert.equal([...(await by(others.get(variant)!))], [...got], variant);
    }
  });
  if (![3, 33, 65].includes(m)) continue; // each is a pipeline to compile
  test(`[${m}, ${k}] × [${k}, ${n}]`, async () => {
    const turned = Float32Array.from({ length: k * n }, (_, i) => w[(i % n) * k + Math.floor(i / n)]);
    const a = tensor('bf16', [m, k], x, hardware),
      b = tensor('bf16', [k, n], turned, hardware);
    const got = await run((p) => gemm(p, { a, b, type: 'f32' }), hardware);
    assert.ok(relativeRms(got, reference(x, w, m, k, n)) < 1e-6);
  });
}

/** A product of many rows by the rule, its bits by the kernel that holds no x, and whether the rule's holds it. */
async function heldAndNot(m: number, k: number, n: number, type: 'bf16' | 'f32', transposeB: boolean) {
  let holds = false;
  const by = (on: Device) =>
    run((p) => {
      const a = tensor(type, [m, k], numbers(m * k, type), on),
        b = tensor(type, transposeB ? [n, k] : [k, n], numbers(n * k, type, 2), on);
      const y = gemm(p, { a, b, transposeB, type: 'f32' });
      holds = Boolean(p.dispatches.at(-1)!.constants?.held);
      return y;
    }, on);
  const other = await by(others.get('direct')!),
    got = await by(device);
  return { got, other, holds };
}

test('rows of x that a CPU with wide vectors holds give the same bits', async () => {
  const wide = device.software && device.subgroupSize >= 8;
  for (const [m, k, n, type, transposeB, holds] of [
    [65, 36, 300, 'bf16', true, true],
    [300, 22, 300, 'bf16', true, true], // 32 rows a tile, more tiles of columns than workgroups
    [70, 512, 40, 'bf16', true, true], // by eights
    [66, 26, 70, 'f32', true, true],
    [67, 30, 68, 'bf16', false, true],
    [63, 16, 8, 'bf16', true, false],
    [64, 1028, 8, 'f32', true, false], // more than a thread has room for
  ] as const) {
    const both = await heldAndNot(m, k, n, type, transposeB);
    assert.is(both.holds, wide && holds, `[${m}, ${k}] × ${n} ${type}`);
    if (device.software && m > 64) assert.equal([...both.got], [...both.other], `[${m}, ${k}] × ${n} ${type}`);
  }
});

test('PLoRA over three projections, in both', async () => {
  const k = 12,
    rank = 8,
    n = 20;
  const layer = (on: Device): Linear => ({
    weight: tensor('bf16', [n, k], numbers(n * k, 'bf16', 2), on),
    lora: {
      a: tensor('bf16', [3 * rank, k], numbers(3 * rank * k, 'bf16', 3), on),
      b: tensor('bf16', [n, rank], numbers(n * rank, 'bf16', 4), on),
      scale: 0.5,
      firstColumns: [0, 8, 12],
    },
  });
  for (const rows of [5, 70]) {
    const x = numbers(rows * k, 'bf16');
    const by = (on: Device) =>
      run((p) => linear(p, tensor('bf16', [rows, k], x, on), layer(on), { type: 'f32', lora: true }), on);
    assert.ok(relativeRms(await by(hardware), await by(device)) < 1e-6);
  }
});

test('a product too long for a screen or a watchdog is split by rows, with the same bits', async () => {
  const [m, k, n] = [300, 20, 24],
    results: Float32Array[] = [];
  for (const [most, dispatches] of [
    [Infinity, 1],
    [(2 * m * k * n) / 2.5, 3],
  ]) {
    const on = await forcing('tiled_four');
    on.flopAtOnce = most;
    const x = tensor('bf16', [m, k], numbers(m * k, 'bf16'), on),
      weight = tensor('bf16', [n, k], numbers(n * k, 'bf16', 2), on);
    const program = await on.record('matmul', (p) => void linear(p, x, { weight }));
    assert.is(program.steps.length, dispatches);
    results.push(await run((p) => linear(p, x, { weight }), on));
    on.destroy();
  }
  assert.equal([...results[1]], [...results[0]]);
});

test.run();
