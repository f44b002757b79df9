// Pictures in browsers and in Node: a PNG gives the same bytes, transparent ones too; what is encoded comes back as it was.
import fs from 'node:fs';
import sharp from 'sharp';
import * as assert from 'uvu/assert';
import type { Picture } from '../../base/platform.ts';
import { decodePicture } from '../../platform/node.ts';
import { inBrowsers } from './harness.ts';

const noise = (channels: 3 | 4) => {
  const data = new Uint8Array(24 * 16 * channels);
  for (let i = 0, state = 7; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return sharp(data, { raw: { width: 24, height: 16, channels } });
};

await inBrowsers('pictures', (test) => {
  test('decodes as Node does and encodes without loss', async (page) => {
    const files = {
      emoji: fs.readFileSync('checkpoints/emoji/reference/rainbow.png'),
      opaque: await noise(3).png().toBuffer(),
      translucent: await noise(4).png().toBuffer(),
      palette: await noise(3).png({ palette: true, colours: 16 }).toBuffer(),
      'grey and alpha': await noise(4).toColourspace('b-w').png().toBuffer(),
      grey: await noise(3).greyscale().png().toBuffer(),
      'loss-free WebP': await noise(3).webp({ lossless: true }).toBuffer(),
      turned: await noise(3)
        .png()
        .withExif({ IFD0: { Orientation: '1' } })
        .toBuffer(),
    };
    await page.open();
    for (const [name, bytes] of Object.entries(files)) {
      const want = await decodePicture(bytes, name);
      const { got, png, again } = await page.page.evaluate(
        async (bytes, name, module) => {
          const { platform } = (await import(module)) as typeof import('../../browser.ts'),
            plain = ({ width, height, data }: Picture) => ({ width, height, data: [...data] });
          const got = await platform.decodePicture(Uint8Array.from(bytes), name),
            png = await platform.encodePNG(got);
          return { got: plain(got), png: [...png], again: plain(await platform.decodePicture(png, name)) };
        },
        [...bytes],
        name,
        `${page.server.url}mmar.js`,
      );
      assert.equal([got.width, got.height], [want.width, want.height], name);
      assert.is(
        got.data.reduce((n: number, v: number, i: number) => n + Number(v !== want.data[i]), 0),
        0,
        `${name}: bytes that differ`,
      );
      assert.equal(again.data, got.data, `${name}, encoded`);
      const inNode = await decodePicture(Uint8Array.from(png), name);
      assert.equal([...inNode.data], got.data, `${name}, encoded, in Node`);
    }
    const refuse = await page.page.evaluate(async (module) => {
      const { platform } = await import(module),
        code = (bytes: number[]) =>
          platform.decodePicture(Uint8Array.from(bytes), 'x').then(
            () => 'none',
            (e: { code: string }) => e.code,
          );
      return [await code([1, 2, 3]), await code([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0])];
    }, `${page.server.url}mmar.js`);
    assert.equal(refuse, ['picture', 'picture']);
  });
});
