// W + scale B A against f64, to the last bit of its one rounding; split over buffers, and on hardware's kernels.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../engine/device.ts';
import { type Linear, linear } from '../../shaders/linear.ts';
import { mergeLowRank } from '../../shaders/merge_low_rank.ts';
import { bf16, device, hardwareDevice, numbers, relativeRms, run, shapeError, smallDevice, tensor } from '../gpu.ts';

/** A layer of some projections of such sizes; each begins at a whole quad of columns. */
function layerOf(on: Device, sizes: number[], k: number, rank: number, scale: number) {
  const firstColumns: number[] = [];
  let n = 0;
  for (const size of sizes) {
    firstColumns.push(n);
    n += 4 * Math.ceil(size / 4);
  }
  const padded = 4 * Math.ceil(rank / 4);
  const values = {
    w: numbers(n * k, 'bf16', 1),
    // What lies between a rank and its whole quads is zero on one side and must not matter on the other.
    a: numbers(sizes.length * padded * k, 'bf16', 2),
    b: numbers(n * rank, 'bf16', 3),
  };
  const layer: Linear = {
    weight: tensor('bf16', [n, k], values.w, on),
    lora: {
      a: tensor('bf16', [sizes.length * padded, k], values.a, on),
      b: tensor('bf16', [n, rank], values.b, on),
      scale,
      firstColumns,
    },
  };
  const sum = (row: number, col: number): number => {
    const i = firstColumns.findLastIndex((first) => first <= row);
    let low = 0;
    for (let r = 0; r < rank; r++) low += values.b[row * rank + r] * values.a[(i * padded + r) * k + col];
    return values.w[row * k + col] + scale * low;
  };
  const want = Float64Array.from({ length: n * k }, (_, i) => sum(Math.floor(i / k), i % k));
  return { layer, want };
}

async function merged(on: Device, layer: Linear): Promise<Float32Array> {
  const into = on.tensor('merged', 'bf16', layer.weight.shape);
  on.copy(layer.weight, into);
  await run((p) => mergeLowRank(p, layer, into), on);
  return on.read(into);
}

/** No farther from the sum than its nearest bf16, but for f32's own error. */
const rounded = (got: ArrayLike<number>, want: ArrayLike<number>): void => {
  for (let i = 0; i < want.length; i++) {
    const most = Math.abs(bf16(want[i]) - want[i]) + 1e-5;
    assert.ok(Math.abs(got[i] - want[i]) <= most, `element ${i}: ${got[i]}, want ${want[i]}`);
  }
};

for (const [sizes, k, rank, scale] of [
  [[24], 70, 13, 0.25],
  [[42, 6, 6], 33, 1, 2],
  [[70, 70], 24, 20, 0.25],
] as const) {
  test(`${sizes} × ${k}, rank ${rank}`, async () => {
    const { layer, want } = layerOf(device, [...sizes], k, rank, scale);
    rounded(await merged(device, layer), want);
  });

  test(`${sizes} × ${k}, rank ${rank}: hardware's kernels, and pieces`, async () => {
    const hardware = await hardwareDevice(),
      small = await smallDevice(16 * 4 * Math.ceil(Math.max(k, rank * sizes.length) / 4) * 2);
    for (const on of [hardware, small]) {
      const { layer, want } = layerOf(on, [...sizes], k, rank, scale);
      if (layer.lora!.a.pieces.length > 1) continue;
      rounded(await merged(on, layer), want);
    }
    assert.ok(layerOf(small, [...sizes], k, rank, scale).layer.weight.pieces.length > 1);
    hardware.destroy();
    small.destroy();
  });
}

test('a layer that has it takes it for image tokens, and W for text', async () => {
  const { layer, want } = layerOf(device, [20, 9], 36, 8, 0.5),
    x = tensor('f32', [3, 36], numbers(3 * 36, 'f32', 4)),
    weight = tensor('bf16', [...layer.weight.shape], Float32Array.from(want));
  const withMerged: Linear = { weight: layer.weight, merged: weight };
  const image = await run((p) => linear(p, x, withMerged, { lora: true }));
  assert.equal([...image], [...(await run((p) => linear(p, x, { weight })))]);
  assert.ok(relativeRms(image, await run((p) => linear(p, x, layer, { lora: true }))) < 3e-3);
  const text = await run((p) => linear(p, x, withMerged));
  assert.equal([...text], [...(await run((p) => linear(p, x, { weight: layer.weight })))]);
});

test('what does not fit', async () => {
  const { layer } = layerOf(device, [8], 8, 4, 1);
  await shapeError((p) => mergeLowRank(p, { weight: layer.weight }, layer.weight), /low-rank part/);
  await shapeError((p) => mergeLowRank(p, layer, device.tensor('less', 'bf16', [4, 8])), /like its weight/);
});

test.run();
