import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { groupNorm } from '../../shaders/group_norm.ts';
import { close, hardwareDevice, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';
import { activations, normalize } from '../reference.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const [pixels, channels, groups] of [
    [1, 4, 2],
    [35, 3, 3],
    [35, 5, 1],
    [64, 6, 3],
    [9, 9, 3],
    [30, 16, 4],
    [12, 32, 2],
    [4096, 32, 8],
    [7, 10, 5],
  ]) {
    for (const act of ['none', 'silu'] as const) {
      test(`${type} [${pixels}, ${channels}], groups of ${channels / groups}, act ${act}`, async () => {
        const x = numbers(pixels * channels, type),
          w = numbers(channels, 'bf16', 2),
          b = numbers(channels, 'bf16', 3),
          size = channels / groups;
        const want = normalize(x, (i) => Math.floor((i % channels) / size), 1e-6).map((v, i) =>
          activations[act](v * w[i % channels] + b[i % channels]),
        );
        const affine = { weight: tensor('bf16', [channels], w), bias: tensor('bf16', [channels], b) };
        const got = await run((p) => raw(groupNorm(p, tensor(type, [pixels, channels], x), affine, groups, 1e-6, act)));
        close(unpad(got, channels), want, type === 'f32' ? 1e-5 : 5e-3);
      });
    }
  }
}

test('a picture of one value gives the bias; large numbers give no NaN', async () => {
  const affine = { weight: tensor('f32', [4], [1, 2, 3, 4]), bias: tensor('f32', [4], [1, -2, 0, 4]) };
  for (const value of [0, 1, -3e4]) {
    assert.equal(
      [...(await run((p) => groupNorm(p, tensor('f32', [2, 4], Array(8).fill(value)), affine, 2, 1e-6)))],
      [1, -2, 0, 4, 1, -2, 0, 4],
    );
  }
  for (const large of [1e15, 1e18, 6e37]) {
    const got = await run((p) =>
      groupNorm(p, tensor('f32', [2, 4], [large, -large, 0, large, 1, 2, -large, large]), affine, 2, 1e-6, 'silu'),
    );
    assert.ok(got.every(Number.isFinite), `${large}: ${got}`);
  }
});

test('operands that do not fit are errors that name them', async () => {
  const affine = (n: number) => ({ weight: tensor('f32', [n], numbers(n)), bias: tensor('f32', [n], numbers(n)) });
  await shapeError(
    (p) => groupNorm(p, tensor('f32', [2, 6], numbers(12)), affine(5), 3, 1e-6),
    /group_norm: test f32\[2,6\], test f32\[5\]/,
  );
  await shapeError(
    (p) => groupNorm(p, tensor('f32', [2, 6], numbers(12)), affine(6), 4, 1e-6),
    /group_norm: test f32\[2,6\], test f32\[6\]/,
  );
});

test('groups whose variance is near eps, or under it', async () => {
  const channels = 6,
    affine = { weight: tensor('f32', [6], Array(6).fill(1)), bias: tensor('f32', [6], Array(6).fill(0)) };
  for (const [size, eps] of [
    [1e-3, 1e-6],
    [1e-4, 1e-5],
    [0.3, 0.25],
  ]) {
    const x = numbers(35 * channels).map((v) => v * size);
    const got = await run((p) => groupNorm(p, tensor('f32', [35, channels], x), affine, 3, eps));
    close(
      got,
      normalize(x, (i) => Math.floor((i % channels) / 2), eps),
      1e-5,
    );
  }
});

test('large pictures on hardware in two stages, whose last part may be small; also where the mean is far from 0', async () => {
  const on = await hardwareDevice();
  for (const [pixels, channels, groups, mean] of [
    [1024, 8, 2, 0],
    [1025, 6, 3, 3],
    [5000, 12, 4, -7],
    [2048 + 65, 5, 1, 100],
  ]) {
    const x = numbers(pixels * channels).map((v) => Math.fround(v + mean)),
      ones = Float32Array.from({ length: channels }, () => 1);
    const affine = {
      weight: tensor('f32', [channels], ones, on),
      bias: tensor('f32', [channels], ones.fill(0), on),
    };
    let dispatches = 0;
    const got = await run((p) => {
      const y = groupNorm(p, tensor('f32', [pixels, channels], x, on), affine, groups, 1e-6);
      dispatches = p.dispatches.length;
      return raw(y);
    }, on);
    assert.is(dispatches, pixels > 1024 ? 3 : 2);
    const size = channels / groups,
      want = normalize(x, (i) => Math.floor((i % channels) / size), 1e-6);
    close(unpad(got, channels), want, mean ? 1e-5 * (1 + Math.abs(mean)) : 1e-5);
  }
  on.destroy();
});

test.run();
