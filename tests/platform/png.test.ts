// PNG without a canvas, against sharp: what the one writes the other reads, in odd sizes and every kind of pixel.
import fs from 'node:fs';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MMARError } from '../../base/error.ts';
import type { Picture } from '../../base/platform.ts';
import { decodePicture } from '../../platform/node.ts';
import { decodePNG, encodePNG } from '../../platform/png.ts';

/** Noise over a slope, so that each filter is the best for some row. */
function picture(width: number, height: number, alpha: boolean): Picture {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0, state = 7; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const row = Math.floor(i / (4 * width));
    data[i] = i % 4 === 3 && !alpha ? 255 : row % 3 ? i * row : state >>> (24 + (row % 4));
  }
  return { width, height, data };
}

for (const [width, height] of [
  [1, 1],
  [3, 2],
  [64, 64],
  [257, 31],
])
  for (const alpha of [false, true])
    test(`${width}×${height}${alpha ? ' with alpha' : ''}`, async () => {
      const made = picture(width, height, alpha),
        png = await encodePNG(made);
      assert.equal(await decodePicture(png, 'made'), made);
      assert.equal(await decodePNG(png), made);
      assert.is((await sharp(png).metadata()).channels, alpha ? 4 : 3);
      assert.equal([...png.slice(-4)], [0xae, 0x42, 0x60, 0x82], 'the check sum of IEND');
    });

test('a drawing and a slope take no more than a twentieth over what sharp makes of them', async () => {
  const drawn = await decodePicture(fs.readFileSync('checkpoints/emoji/reference/rainbow.png'), 'drawn'),
    slope = picture(64, 64, false);
  slope.data.forEach((_, i) => {
    if (i % 4 < 3) slope.data[i] = ((i >> 2) % 64) + 2 * (i >> 8) + 20 * (i % 4);
  });
  for (const { width, height, data } of [drawn, slope]) {
    const size = (await encodePNG({ width, height, data })).length,
      image = sharp(data, { raw: { width, height, channels: 4 } }).removeAlpha(),
      sharps = await image.png({ adaptiveFiltering: true }).toBuffer();
    assert.ok(size < 1.05 * sharps.length, `${size} bytes, sharp makes ${sharps.length}`);
  }
});

test('every filter and colour type of 8 bits; others, and what is to be turned, are left to the canvas', async () => {
  const { width, height, data } = picture(19, 23, true);
  const image = (channels: 3 | 4) => {
    const whole = sharp(data, { raw: { width, height, channels: 4 } });
    return channels === 3 ? whole.removeAlpha() : whole;
  };
  const filters = { adaptiveFiltering: true };
  const kinds = {
    colour: image(3).png(filters),
    'colour and alpha': image(4).png(filters),
    grey: image(3).toColourspace('b-w').png(filters),
    'grey and alpha': image(4).toColourspace('b-w').png(filters),
  };
  for (const [name, kind] of Object.entries(kinds)) {
    const png = await kind.toBuffer();
    assert.equal(await decodePNG(png), await decodePicture(png, name), name);
  }
  for (const other of [
    image(3).png({ palette: true }),
    image(3).png({ progressive: true }),
    image(3).toColourspace('rgb16').png(),
    image(3)
      .png()
      .withExif({ IFD0: { Orientation: '6' } }),
  ])
    assert.is(await decodePNG(await other.toBuffer()), undefined);
});

test('damage and sizes that cannot be are refused', async () => {
  const png = await encodePNG(picture(64, 64, false)),
    taller = png.slice();
  taller[23]++; // IHDR's height, one more than there are rows
  for (const damaged of [png.slice(0, png.length / 2), taller])
    assert.is(await decodePNG(damaged).catch(() => 'refused'), 'refused');
  for (const height of [0, 3]) {
    const error: MMARError = await encodePNG({ ...picture(2, 2, false), height }).catch((e) => e);
    assert.is(error.code, 'picture');
    assert.match(error.message, `2×${height} cannot be encoded: it has 16 bytes`);
  }
});

test.run();
