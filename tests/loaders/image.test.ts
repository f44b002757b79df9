import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Picture } from '../../base/platform.ts';
import { contactSheet, pictureFormat, pictureToPixels, pixelsToPicture, psnr } from '../../loaders/image.ts';

/** A picture from a function of place to [r, g, b, a]. */
function paint(width: number, height: number, color: (x: number, y: number) => number[]): Picture {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set(color(x, y), 4 * (y * width + x));
  return { width, height, data };
}

/** Bytes without pattern, the same in every run. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
}

/** The definition: for every pixel a double sum over the whole picture of the widened cubic, normalised. */
function reference(picture: Picture, size: number): Float64Array {
  const { width, height, data } = picture;
  const short = Math.min(width, height),
    scale = short / size,
    stretch = Math.max(1, scale);
  const cubic = (t: number) => {
    const d = Math.abs(t),
      a = -0.5;
    if (d < 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
    return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
  };
  const out = new Float64Array(3 * size * size);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) {
        const centerY = Math.floor((height - short) / 2) + (i + 0.5) * scale;
        const centerX = Math.floor((width - short) / 2) + (j + 0.5) * scale;
        let sum = 0,
          total = 0;
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++) {
            const weight = cubic((y + 0.5 - centerY) / stretch) * cubic((x + 0.5 - centerX) / stretch);
            const at = 4 * (y * width + x),
              alpha = data[at + 3] / 255;
            sum += weight * (data[at + c] * alpha + 255 * (1 - alpha));
            total += weight;
          }
        out[(c * size + i) * size + j] = Math.min(255, Math.max(0, sum / total)) / 127.5 - 1;
      }
  return out;
}

test('a picture of the right size is taken as it is: every value, exactly', () => {
  const picture = paint(16, 16, (x, y) => [16 * y + x, 255 - 16 * y - x, 7, 255]);
  const pixels = pictureToPixels(picture, 16);
  for (let i = 0; i < 256; i++) {
    assert.is(pixels[i], Math.fround(i / 127.5 - 1));
    assert.is(pixels[256 + i], Math.fround((255 - i) / 127.5 - 1));
  }
  assert.equal(pixelsToPicture(pixels, 16), picture);
});

test('so is the middle of a longer one, odd lengths too', () => {
  for (const [width, height] of [
    [7, 4],
    [4, 7],
    [4, 5],
    [9, 4],
  ]) {
    const picture = paint(width, height, (x, y) => [10 * x, 10 * y, 0, 255]);
    const pixels = pictureToPixels(picture, 4);
    const left = (width - 4) >> 1,
      top = (height - 4) >> 1;
    for (let i = 0; i < 16; i++) {
      assert.is(pixels[i], Math.fround((10 * (left + (i % 4))) / 127.5 - 1));
      assert.is(pixels[16 + i], Math.fround((10 * (top + (i >> 2))) / 127.5 - 1));
    }
  }
});

test('resizing is the widened cubic of PIL, up and down, with alpha', () => {
  const cases = [
    [13, 13, 5],
    [5, 9, 12],
    [31, 17, 8],
    [8, 8, 7],
    [1, 1, 4],
    [1, 6, 3],
    [40, 3, 2],
  ];
  for (const [width, height, size] of cases) {
    const next = noise(width * 100 + height);
    const picture = paint(width, height, () => [next(), next(), next(), next()]);
    const pixels = pictureToPixels(picture, size),
      wanted = reference(picture, size);
    const what = `${width}×${height} to ${size}`;
    for (const [i, value] of pixels.entries())
      assert.ok(Math.abs(value - wanted[i]) < 1e-6, `${what}: ${value} ${wanted[i]}`);
  }
});

test('one colour stays that colour at any size', () => {
  for (const size of [1, 3, 10, 64]) {
    const pixels = pictureToPixels(
      paint(20, 33, () => [200, 200, 200, 255]),
      size,
    );
    for (const value of pixels) assert.ok(Math.abs(value - (200 / 127.5 - 1)) < 1e-6);
  }
});

test('what is transparent is white', () => {
  assert.equal(
    pictureToPixels(
      paint(1, 1, () => [9, 99, 200, 0]),
      1,
    ),
    new Float32Array([1, 1, 1]),
  );
  const half = pictureToPixels(
    paint(1, 1, () => [0, 255, 51, 51]),
    1,
  );
  assert.equal(
    half,
    Float32Array.from([204, 255, 214.2], (x) => x / 127.5 - 1),
  );
});

test('pixels to 8 bits: clamped, rounded half up', () => {
  const value = (x: number) => pixelsToPicture(new Float32Array([x, x, x]), 1).data[0];
  assert.equal([-1, 1, -7, 7, 0, -Infinity, Infinity].map(value), [0, 255, 0, 255, 128, 0, 255]);
  assert.is(value(0.5 / 127.5 - 1 - 1e-6), 0);
  assert.is(value(0.5 / 127.5 - 1 + 1e-6), 1);
  assert.throws(() => pixelsToPicture(new Float32Array(4), 1), /4 pixel values/);
});

test('PSNR', () => {
  const a = new Float32Array([-1, 0, 1]);
  assert.is(psnr(a, a), Infinity);
  assert.is(psnr(new Float32Array([-1]), new Float32Array([1])), 0);
  assert.ok(
    Math.abs(
      psnr(
        a,
        a.map((x) => x + 0.02),
      ) - 40,
    ) < 1e-5,
  );
  assert.throws(() => psnr(a, new Float32Array(2)), /3 and 2/);
  assert.throws(() => psnr(new Float32Array(), new Float32Array()), /none/);
});

test('a contact sheet', () => {
  const tile = (value: number) => paint(2, 1, (x) => [value + x, 0, 0, 255]);
  const sheet = contactSheet([tile(10), tile(20), tile(30)], 2);
  assert.equal([sheet.width, sheet.height], [4, 2]);
  assert.equal(
    [...sheet.data].filter((_, i) => i % 4 === 0),
    [10, 11, 20, 21, 30, 31, 255, 255],
  );
  assert.is(contactSheet([tile(1)], 5).width, 2);
  assert.throws(() => contactSheet([], 1), /at least one/);
  assert.throws(() => contactSheet([tile(1)], 0), /0 columns/);
  assert.throws(() => contactSheet([tile(1), paint(1, 1, () => [0, 0, 0, 0])], 2), /one size/);
});

test('bad pictures and sizes', () => {
  for (const [width, height, length] of [
    [2, 2, 15],
    [0, 0, 0],
    [1.5, 2, 12],
    [-1, -1, 4],
  ]) {
    const picture = { width, height, data: new Uint8ClampedArray(length) };
    assert.throws(() => pictureToPixels(picture, 2), /needs 4 for each pixel/);
  }
  const dot = paint(1, 1, () => [0, 0, 0, 0]);
  for (const size of [0, -1, 1.5, NaN]) assert.throws(() => pictureToPixels(dot, size), /picture size/);
});

test('formats by their first bytes', () => {
  const of = (text: string) => pictureFormat(Uint8Array.from(text, (c) => c.charCodeAt(0)));
  assert.equal(['\x89PNG\r\n\x1a\n', '\xff\xd8\xff\xe0', 'RIFF1234WEBPVP8 '].map(of), ['png', 'jpeg', 'webp']);
  assert.equal(['', 'GIF89a', '<svg>', 'RIFF1234WAVE', '\x89PNG'].map(of), Array(5).fill(undefined));
});

test.run();
