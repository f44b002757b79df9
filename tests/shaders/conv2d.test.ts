import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ElementType, roundUp } from '../../engine/tensor.ts';
import { Tuning } from '../../engine/tuning.ts';
import { conv2d } from '../../shaders/conv2d.ts';
import { close, device, hardwareDevice, numbers, raw, run, shapeError, tensor, unpad } from '../gpu.ts';
import { conv3x3 } from '../reference.ts';

/** x [height, width, channels] with zeros around it. */
function pad(
  x: ArrayLike<number>,
  height: number,
  width: number,
  channels: number,
  { top = 0, left = 0, bottom = 0, right = 0 },
): Float64Array {
  const wide = left + width + right,
    y = new Float64Array((top + height + bottom) * wide * channels);
  for (let i = 0; i < x.length; i++) {
    const pixel = Math.floor(i / channels),
      row = Math.floor(pixel / width) + top,
      col = (pixel % width) + left;
    y[(row * wide + col) * channels + (i % channels)] = x[i];
  }
  return y;
}

/** Every pixel twice in both directions. */
function doubled(x: ArrayLike<number>, height: number, width: number, channels: number): Float64Array {
  return Float64Array.from({ length: 4 * height * width * channels }, (_, i) => {
    const pixel = Math.floor(i / channels),
      row = Math.floor(pixel / (2 * width)),
      col = pixel % (2 * width);
    return x[(Math.floor(row / 2) * width + Math.floor(col / 2)) * channels + (i % channels)];
  });
}

/** w [out, 3, 3, in] as it lies on the device, `in` in whole quads. */
function deviceWeights(type: ElementType, w: Float32Array, channels: { in: number; out: number }) {
  const pitch = roundUp(channels.in, 4),
    values = new Float32Array(channels.out * 9 * pitch);
  for (const [i, v] of w.entries()) values[Math.floor(i / channels.in) * pitch + (i % channels.in)] = v;
  return tensor(type, [channels.out, 9 * pitch], values);
}

for (const type of ['bf16', 'f32'] as const) {
  for (const [height, width, from, to] of [
    [1, 1, 3, 4],
    [2, 3, 4, 3],
    [5, 7, 3, 5],
    [8, 8, 16, 32],
    [9, 13, 5, 4],
    [3, 17, 4, 33],
  ]) {
    test(`${type} ${height} × ${width}, ${from} to ${to} channels: plain, halved, doubled, with a residual`, async () => {
      const channels = { in: from, out: to },
        x = numbers(height * width * from, type),
        w = numbers(to * 9 * from, type, 2),
        b = numbers(to, type, 3);
      const biased = (y: Float64Array) => y.map((v, i) => v + b[i % to]),
        bound = type === 'f32' ? 5e-6 : 4e-3;
      const map = () => ({ x: tensor(type, [height * width, from], x), height, width }),
        conv = { weight: deviceWeights(type, w, channels), bias: tensor(type, [to], b) };
      const plain = biased(
        conv3x3(
          pad(x, height, width, from, { top: 1, left: 1, bottom: 1, right: 1 }),
          height + 2,
          width + 2,
          w,
          channels,
          1,
        ),
      );
      close(unpad(await run((p) => raw(conv2d(p, map(), conv).x)), to), plain, bound);
      const r = numbers(plain.length, type, 4);
      close(
        unpad(await run((p) => raw(conv2d(p, map(), conv, { residual: tensor(type, [height * width, to], r) }).x)), to),
        plain.map((v, i) => v + r[i]),
        bound,
      );
      const twice = doubled(x, height, width, from);
      const up = biased(
        conv3x3(
          pad(twice, 2 * height, 2 * width, from, { top: 1, left: 1, bottom: 1, right: 1 }),
          2 * height + 2,
          2 * width + 2,
          w,
          channels,
          1,
        ),
      );
      close(unpad(await run((p) => raw(conv2d(p, map(), conv, { upsample: 2 }).x)), to), up, bound);
      if (height < 2 || width < 2) return;
      const down = biased(
        conv3x3(pad(x, height, width, from, { bottom: 1, right: 1 }), height + 1, width + 1, w, channels, 2),
      );
      assert.is(down.length, Math.floor(height / 2) * Math.floor(width / 2) * to);
      close(unpad(await run((p) => raw(conv2d(p, map(), conv, { stride: 2 }).x)), to), down, bound);
    });
  }
}

const variants = ['tiled', 'tiled_small', 'tiled_one', 'tiled_four', 'tiled_two', 'tiled_narrow'];
for (const [type, height, width, from, to] of [
  ['bf16', 9, 13, 5, 37],
  ['f32', 11, 12, 36, 70],
] as const) {
  test(`all candidates give the same bits: ${type} ${height} × ${width}, ${from} to ${to} channels`, async () => {
    const channels = { in: from, out: to },
      x = numbers(height * width * from, type),
      w = numbers(to * 9 * from, type, 2);
    const result = async (options: { stride?: 2; upsample?: 2 }, variant: string): Promise<Float32Array> => {
      device.tuning = new Tuning(`conv2d:${variant}`);
      const conv = { weight: deviceWeights(type, w, channels), bias: tensor(type, [to], numbers(to, type, 3)) };
      return run((p) => conv2d(p, { x: tensor(type, [height * width, from], x), height, width }, conv, options).x);
    };
    for (const options of type === 'f32' ? [{}] : ([{ stride: 2 }, { upsample: 2 }] as const)) {
      const want = await result(options, 'direct');
      for (const variant of variants) assert.equal([...(await result(options, variant))], [...want], variant);
    }
    device.tuning = new Tuning();
  });
}

test('a result of another type; the size of the result', async () => {
  const x = numbers(24, 'bf16'),
    w = numbers(36, 'bf16', 2),
    channels = { in: 4, out: 1 },
    map = { x: tensor('bf16', [6, 4], x), height: 2, width: 3 };
  const conv = { weight: deviceWeights('bf16', w, channels), bias: tensor('bf16', [1], [0]) };
  close(
    await run((p) => conv2d(p, map, conv, { type: 'f32' }).x),
    conv3x3(pad(x, 2, 3, 4, { top: 1, left: 1, bottom: 1, right: 1 }), 4, 5, w, channels, 1),
    1e-6,
  );
  await run((p) => {
    for (const [options, height, width] of [
      [{}, 2, 3],
      [{ stride: 2 }, 1, 1],
      [{ upsample: 2 }, 4, 6],
    ] as const) {
      const y = conv2d(p, map, conv, options);
      assert.equal([y.height, y.width, y.x.rows], [height, width, height * width]);
    }
  });
});

test('zeros give the bias; large numbers give no NaN', async () => {
  const conv = { weight: tensor('f32', [2, 36], Array(72).fill(1e18)), bias: tensor('f32', [2], [1, -2]) };
  assert.equal(
    [...(await run((p) => conv2d(p, { x: tensor('f32', [1, 4], [0, 0, 0, 0]), height: 1, width: 1 }, conv).x))],
    [1, -2],
  );
  const got = await run(
    (p) => conv2d(p, { x: tensor('f32', [2, 4], [1e19, -1e19, 1e19, 0, 1, 1, 1, 1]), height: 1, width: 2 }, conv).x,
  );
  assert.ok(got.every(Number.isFinite), `${got}`);
});

test('operands that do not fit are errors that name them', async () => {
  const conv = { weight: tensor('f32', [3, 36], numbers(108)), bias: tensor('f32', [3], numbers(3)) },
    x = () => tensor('f32', [6, 4], numbers(24));
  await shapeError(
    (p) => void conv2d(p, { x: x(), height: 2, width: 2 }, conv),
    /conv2d: test f32\[6,4\], test f32\[3,36\]/,
  );
  await shapeError(
    (p) => void conv2d(p, { x: tensor('f32', [6, 5], numbers(30)), height: 2, width: 3 }, conv),
    /conv2d: test f32\[6,5\], test f32\[3,36\]/,
  );
  await shapeError(
    (p) => void conv2d(p, { x: x(), height: 2, width: 3 }, conv, { residual: tensor('f32', [6, 4], numbers(24)) }),
    /conv2d: .*test f32\[6,4\]; want a residual f32\[6, 3\]/,
  );
  await shapeError(
    (p) => void conv2d(p, { x: x(), height: 2, width: 3 }, { ...conv, bias: tensor('bf16', [3], numbers(3)) }),
    /conv2d: test f32\[3,36\], test bf16\[3\]/,
  );
});

test('a convolution too long for a screen or a watchdog is split by rows, with the same bits', async () => {
  const on = await hardwareDevice(),
    x = tensor('bf16', [40 * 30, 16], numbers(40 * 30 * 16, 'bf16'), on),
    weight = tensor('bf16', [12, 144], numbers(12 * 144, 'bf16', 2), on),
    bias = tensor('bf16', [12], numbers(12, 'bf16', 3), on);
  const results: Float32Array[] = [];
  for (const variant of ['tiled_two', 'tiled_four', 'direct']) {
    for (const [most, dispatches] of [
      [Infinity, 1],
      [2 * 40 * 30 * 12 * 144 * 0.3, 4],
    ]) {
      on.flopAtOnce = most;
      on.tuning = new Tuning(`conv2d:${variant}`);
      const program = await on.record('conv2d', (p) => void conv2d(p, { x, height: 40, width: 30 }, { weight, bias }));
      assert.is(program.steps.length, dispatches, variant);
      assert.is(program.steps[0].dispatch.variant, variant);
      results.push(await run((p) => conv2d(p, { x, height: 40, width: 30 }, { weight, bias }).x, on));
    }
  }
  for (const result of results) assert.equal([...result], [...results[0]]);
  on.destroy();
});

test.run();
