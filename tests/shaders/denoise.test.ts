// Sampler steps as one kernel, where vectors are wide (lavapipe), give the bits of the layers' own kernels.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../engine/device.ts';
import type { Recorder } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { canDenoise, denoise, type HeadSizes, headShapes } from '../../shaders/denoise.ts';
import { denoiseStep } from '../../shaders/denoise_step.ts';
import { linear } from '../../shaders/linear.ts';
import { hardwareDevice, numbers, run, shapeError, device as software, tensor } from '../gpu.ts';

const eps = 1e-6,
  positions = 11,
  offset = 1;

/** A head's weights on the device, each a tensor of its own, and all of them side by side. */
function head(sizes: HeadSizes) {
  const { blocks, width, inner, channels } = sizes;
  let seed = 1;
  const t = (rows: number, cols: number): Tensor => tensor('bf16', [rows, cols], numbers(rows * cols, 'bf16', ++seed));
  const layer = (rows: number, cols: number) => ({ weight: t(rows, cols), bias: t(1, rows) });
  const own = Array.from({ length: blocks }, () => ({
    affine: { weight: t(1, width), bias: t(1, width) },
    up: layer(inner, width),
    down: layer(width, inner),
  }));
  const final = layer(channels, width),
    input = layer(width, channels),
    shapes = headShapes(sizes);
  const weights = tensor('bf16', shapes.weights, []),
    vectors = tensor('bf16', shapes.vectors, []);
  software.join([...own.flatMap(({ up, down }) => [up.weight, down.weight]), final.weight, input.weight], weights);
  const inside = own.flatMap(({ affine, up, down }) => [affine.weight, affine.bias, up.bias, down.bias]);
  software.join([...inside, final.bias, input.bias], vectors);
  return { own, layers: { final, input, eps }, together: { ...sizes, weights, vectors } };
}

/** What the layers' own kernels do. */
function apart(
  p: Recorder,
  x: Tensor,
  modulation: Tensor,
  { own, layers }: ReturnType<typeof head>,
  tables: Parameters<typeof denoise>[4],
  branches: number,
  steps: number,
): void {
  const width = layers.input.weight.rows;
  let h = linear(p, x, layers.input, { type: 'bf16' });
  for (let step = 0; step < steps; step++) {
    const at = (block: number) => {
      const shift = 3 * block * width;
      return { tensor: modulation, firstRow: step * x.rows, shift, scale: shift + width };
    };
    own.forEach(({ affine, up, down }, i) => {
      const { tensor, firstRow, scale } = at(i),
        residual = h,
        norm = { kind: 'layer', affine, eps, modulation: at(i) } as const;
      const hidden = linear(p, residual, up, { norm, act: 'silu' });
      h = linear(p, hidden, down, { gate: { tensor, firstRow, first: scale + width }, residual });
    });
    h = denoiseStep(p, h, x, layers, at(own.length), tables, branches, step);
  }
}

/** Operands of some tokens, the same each time. */
function operands(sizes: HeadSizes, tokens: number, branches: number, steps: number) {
  const { blocks, width, channels } = sizes,
    rows = branches * tokens,
    half = numbers(tokens * channels, 'f32', 99);
  const cols = (3 * blocks + 2) * width;
  return {
    x: tensor('f32', [rows, channels], branches === 2 ? [...half, ...half] : half),
    modulation: tensor('bf16', [steps * rows, cols], numbers(steps * rows * cols, 'bf16', 98)),
    tables: {
      coefficients: tensor(
        'f32',
        [steps + offset, 4],
        numbers(4 * (steps + offset), 'f32', 97).map((v, i) => (i % 4 === 3 ? (i >> 2) % 2 : v)),
      ),
      step: tensor('u32', [1], [offset]),
      guidance: tensor('f32', [1], [2.5]),
      stepNoise: tensor(
        'f32',
        [(steps + offset) * positions, channels],
        numbers((steps + offset) * positions * channels),
      ),
      chosen: tensor(
        'u32',
        [tokens],
        Uint32Array.from({ length: tokens }, (_, i) => (3 * i) % positions),
      ),
    },
  };
}

type Case = readonly [tokens: number, branches: 1 | 2, sizes: Omit<HeadSizes, 'eps'>, noisy: boolean];

const cases: Case[] = [
  [1, 2, { blocks: 2, width: 64, inner: 96, channels: 16 }, false],
  [11, 2, { blocks: 1, width: 32, inner: 64, channels: 8 }, true], // on two cores two bands of three tokens, the last of two
  [19, 1, { blocks: 2, width: 96, inner: 32, channels: 24 }, false], // more than the threads of two cores
];

const wide = software.software && software.subgroupSize >= 8;

for (const [tokens, branches, shape, noisy] of wide ? cases : [])
  test(`${tokens} tokens in ${branches} branches, ${JSON.stringify(shape)}${noisy ? ', noisy' : ''}`, async () => {
    const sizes = { ...shape, eps },
      steps = 3,
      weights = head(sizes);
    assert.ok(canDenoise(software, sizes, noisy));
    const drawn = [];
    for (const whole of [true, false]) {
      const { x, modulation, tables } = operands(sizes, tokens, branches, steps),
        own = noisy ? tables : { ...tables, stepNoise: undefined };
      let launches = 0;
      await run((p) => {
        if (whole) denoise(p, x, modulation, weights.together, own, branches, steps);
        else apart(p, x, modulation, weights, own, branches, steps);
        launches = p.dispatches.length;
      });
      assert.is(launches === 1, whole);
      drawn.push([...(await software.read(x))]);
    }
    assert.ok(drawn[0].every(Number.isFinite));
    assert.equal(drawn[0], drawn[1]);
  });

test('serves small heads of whole tiles, on software with wide vectors alone', async () => {
  const sizes = { blocks: 3, width: 256, inner: 1024, channels: 16, eps },
    hardware = await hardwareDevice();
  const serves = (change: Partial<HeadSizes>, on: Device = software) => canDenoise(on, { ...sizes, ...change }, true);
  assert.is(serves({}), wide);
  assert.not(serves({}, hardware));
  for (const change of [
    { blocks: 5 },
    { width: 264 },
    { inner: 1000 },
    { channels: 12 },
    { blocks: 1, width: 64, inner: 4096 },
  ])
    assert.not(serves(change), JSON.stringify(change));
  hardware.destroy();
});

test('operands that do not fit are errors that name them', async () => {
  const sizes = { blocks: 1, width: 32, inner: 32, channels: 8, eps },
    { together } = head(sizes),
    { x, modulation, tables } = operands(sizes, 2, 1, 2);
  await shapeError(
    (p) => denoise(p, tensor('f32', [2, 4], []), modulation, together, tables, 1, 2),
    /denoise: test f32\[2,4\]; want x f32\[rows, 8\]/,
  );
  await shapeError(
    (p) => denoise(p, x, modulation, together, tables, 1, 3),
    /denoise: test f32\[2,8\], test bf16\[4,160\]; want a modulation bf16\[6, 160\]/,
  );
});

test('tensors are joined over the whole of another or not at all', () => {
  const t = (rows: number) => tensor('bf16', [rows, 8], []);
  assert.throws(
    () => software.join([t(2), t(1)], t(4)),
    /join: 48 bytes of test bf16\[2,8\], test bf16\[1,8\] into test bf16\[4,8\]/,
  );
});

test.run();
