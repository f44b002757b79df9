import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { openCheckpoint } from '../../loaders/checkpoint.ts';
import { urlSource } from '../../loaders/url_source.ts';
import { decodePicture, encodePNG, folderSource, nodePlatform, writeFileWhole } from '../../platform/node.ts';

const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mmar-'));
const at = (name: string) => path.join(folder, name);
test.after(() => fs.rm(folder, { recursive: true }));

async function refuses(step: Promise<unknown>, code: string, ...words: string[]) {
  const took = () => assert.unreachable(`took it, though: ${words}`);
  const error: unknown = await step.then(took, (error: unknown) => error);
  assert.instance(error, MMARError);
  assert.is((error as MMARError).code, code, (error as MMARError).message);
  for (const word of words) assert.match((error as MMARError).message, word);
  assert.not.match((error as MMARError).message, '\n');
}

test('a folder: sizes, bytes by place, files that are not there', async () => {
  await fs.writeFile(
    at('a'),
    Uint8Array.from({ length: 100 }, (_, i) => i),
  );
  const source = folderSource(folder);
  assert.is(await source.size('a'), 100);
  assert.is(await source.size('none'), undefined);
  assert.is(await source.size('a/b'), undefined);
  const into = new Uint8Array(3);
  await Promise.all([source.read('a', 97, into), source.read('a', 0, new Uint8Array(50))]);
  assert.equal(into, new Uint8Array([97, 98, 99]));
  await refuses(source.read('a', 98, into), 'file', at('a'), 'ends at byte 100');
  await refuses(source.read('none', 0, into), 'file', at('none'));
  await refuses(source.read('a', 0, into, AbortSignal.abort()), 'cancelled');
  await source.close();
  await source.close();
  assert.is(await source.size('a'), 100, 'opens again');
  await fs.writeFile(at('none'), 'now');
  assert.is(await source.size('none'), 3, 'a file that came later is seen');
  await source.close();
});

test('a file that is removed while it is open can still be read', async () => {
  await fs.writeFile(at('gone'), 'abc');
  const source = folderSource(folder);
  assert.is(await source.size('gone'), 3);
  await fs.rm(at('gone'));
  await source.read('gone', 0, new Uint8Array(3));
  await source.close();
  assert.is(await source.size('gone'), undefined);
});

test('a folder in place of a file, a dangling link, a pipe, no folder', async () => {
  await fs.mkdir(at('model.safetensors'));
  await fs.symlink(at('nowhere'), at('link'));
  execFileSync('mkfifo', [at('pipe')]);
  const source = folderSource(folder);
  await refuses(openCheckpoint(source), 'file', at('model.safetensors'), 'is a folder');
  await refuses(source.size('link'), 'file', at('link'), 'link to a file that is not there');
  await refuses(source.size('pipe'), 'file', 'no plain file');
  await refuses(openCheckpoint(folderSource(at('nowhere'))), 'file', at('nowhere'), 'not there');
  await refuses(openCheckpoint(folderSource(at('a'))), 'file', at('a'), 'no folder');
});

test('the carried checkpoint opens, by its path, its URL, and as links to files elsewhere, as caches of models keep them', async () => {
  await fs.mkdir(at('snapshot'));
  for (const file of await fs.readdir('checkpoints/emoji'))
    await fs.symlink(path.resolve('checkpoints/emoji', file), at(`snapshot/${file}`));
  for (const where of [
    'checkpoints/emoji',
    new URL(`file://${process.cwd()}/checkpoints/emoji`).href,
    at('snapshot'),
  ]) {
    const source = nodePlatform.source(where);
    const checkpoint = await openCheckpoint(source);
    assert.equal(checkpoint.place('image_start').entry.shape, [192]);
    await source.close();
  }
});

/** A server of one file, `w`; with `ranges` or without. */
async function serve(content: Uint8Array, ranges: boolean, use: (base: string) => Promise<void>) {
  const server = http.createServer((request, response) => {
    if (request.url === '/dir/empty?key=1') return response.writeHead(416, { 'Content-Range': 'bytes */0' }).end();
    if (request.url === '/dir/secret?key=1') return response.writeHead(403).end();
    if (request.url !== '/dir/w%20%23?key=1') return response.writeHead(404).end();
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    if (!range || !ranges) return response.writeHead(200).end(content);
    const [first, last] = [Number(range[1]), Math.min(Number(range[2]), content.length - 1)];
    response.writeHead(206, { 'Content-Range': `bytes ${first}-${last}/${content.length}` });
    response.end(content.subarray(first, last + 1));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/dir/?key=1`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test('a URL: range requests', () =>
  serve(
    Uint8Array.from({ length: 1000 }, (_, i) => i),
    true,
    async (base) => {
      const source = nodePlatform.source(base);
      assert.not.match(source.name, 'key', 'a query stays out of messages');
      assert.is(await source.size('w #'), 1000);
      assert.is(await source.size('none'), undefined);
      assert.is(await source.size('empty'), 0);
      const into = new Uint8Array(4);
      await source.read('w #', 998 - 2, into);
      assert.equal(into, Uint8Array.from([996, 997, 998, 999]));
      await source.read('w #', 10, into);
      assert.equal(into, Uint8Array.from([10, 11, 12, 13]));
      await refuses(source.read('w #', 998, into), 'file', 'w #', '2 bytes came for 4');
      await refuses(source.size('secret'), 'file', '403');
      await refuses(source.read('none', 0, into), 'file', '404');
      await refuses(source.size('w #', AbortSignal.abort()), 'cancelled');
    },
  ));

test('a URL: no ranges, no server, no URL', async () => {
  let gone = '';
  await serve(new Uint8Array(10), false, async (base) => {
    gone = base;
    await refuses(urlSource(base).size('w #'), 'file', 'knows no range requests');
    await refuses(urlSource(base).read('w #', 0, new Uint8Array(10)), 'file', 'knows no range requests');
  });
  await refuses(urlSource(gone).size('w'), 'file', 'cannot be reached');
  assert.throws(() => urlSource('nothing'), /no URL/);
  assert.throws(() => nodePlatform.source('file://host/x'), /file:\/\/host\/x is no path/);
});

test('pictures: PNG and lossless WebP come back as they were', async () => {
  const data = Uint8ClampedArray.from({ length: 4 * 6 }, (_, i) => (i % 4 === 3 ? 255 : i * 9));
  const picture = { width: 3, height: 2, data };
  const png = await encodePNG(picture);
  assert.is((await sharp(png).metadata()).channels, 3, 'opaque: no alpha channel');
  assert.equal(await encodePNG(picture), png);
  assert.equal(await decodePicture(png, 'p.png'), picture);
  const webp = await sharp(data, { raw: { width: 3, height: 2, channels: 4 } })
    .webp({ lossless: true })
    .toBuffer();
  assert.equal(await decodePicture(webp, 'p.webp'), picture);
  const clear = { ...picture, data: data.map((value, i) => (i % 4 === 3 ? i * 7 : value)) };
  assert.equal(await decodePicture(await encodePNG(clear), 'p.png'), clear);
});

test('pictures: gray, 16 bits, a palette, JPEG with its orientation, an animation', async () => {
  const raw = { width: 2, height: 1, channels: 3 as const };
  const image = () => sharp(new Uint8Array([255, 0, 0, 0, 0, 255]), { raw });
  const read = async (picture: Sharp) => [...(await decodePicture(await picture.toBuffer(), 'p')).data];
  const redAndBlue = [255, 0, 0, 255, 0, 0, 255, 255];
  const gray = sharp(new Uint8Array([7, 200]), { raw: { ...raw, channels: 1 } });
  assert.equal(await read(gray.png()), [7, 7, 7, 255, 200, 200, 200, 255]);
  assert.equal(await read(image().toColourspace('rgb16').png()), redAndBlue);
  const deepGray = sharp(new Uint16Array([0, 65535]), { raw: { ...raw, channels: 1 } }).toColourspace('grey16');
  assert.equal(await read(deepGray.png()), [0, 0, 0, 255, 255, 255, 255, 255]);
  assert.equal(await read(image().png({ palette: true })), redAndBlue);
  const jpeg = image().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).withMetadata({ orientation: 6 });
  const turned = await decodePicture(await jpeg.toBuffer(), 'j');
  assert.equal([turned.width, turned.height], [1, 2]);
  assert.ok(turned.data[0] > 250 && turned.data[6] > 250, 'red above blue');
  const frames = [image(), sharp(new Uint8Array(6), { raw })].map((frame) => frame.png().toBuffer());
  const animation = sharp(await Promise.all(frames), { join: { animated: true } });
  assert.equal(await read(animation.webp({ lossless: true })), redAndBlue);
});

test('pictures: none, damaged, too large', async () => {
  await refuses(decodePicture(new TextEncoder().encode('<svg width="9"/>'), 'x.svg'), 'picture', 'x.svg');
  await refuses(decodePicture(new Uint8Array(), 'x'), 'picture', 'x is no picture');
  const data = new Uint8ClampedArray(4 * 64 * 64).map((_, i) => (i * i) % 256);
  const png = await encodePNG({ width: 64, height: 64, data });
  await refuses(decodePicture(png.slice(0, png.length / 2), 'cut.png'), 'picture', 'cut.png', 'damaged');
  await refuses(decodePicture(png.slice(0, 8), 'cut.png'), 'picture', 'cut.png', 'damaged');
  const blank = sharp({ create: { width: 8193, height: 8193, channels: 3, background: 'red' } });
  const large = await blank.png({ compressionLevel: 1 }).toBuffer();
  await refuses(decodePicture(large, 'large.png'), 'picture', 'large.png', '8193×8193');
});

test('a file is written whole, over another too, through a link, in parts', async () => {
  const text = () => fs.readFile(at('out'), 'utf8');
  await writeFileWhole(at('out'), new TextEncoder().encode('one'));
  assert.is(await text(), 'one');
  await fs.symlink(at('out'), at('out-link'));
  await writeFileWhole(at('out-link'), [new Uint8Array([0x61]), new Uint8Array(), new Uint8Array([0x62])]);
  assert.is(await text(), 'ab');
  assert.ok((await fs.lstat(at('out-link'))).isSymbolicLink());
});

test('what cannot be written leaves nothing behind and what was there alone', async () => {
  await fs.writeFile(at('kept'), 'old');
  async function* failing() {
    yield new Uint8Array(10);
    throw new MMARError('shape', 'no more');
  }
  await refuses(writeFileWhole(at('kept'), failing()), 'shape', 'no more');
  await refuses(writeFileWhole(at('kept'), new Uint8Array(1), AbortSignal.abort()), 'cancelled');
  const stop = new AbortController();
  async function* stopped() {
    yield new Uint8Array(10);
    stop.abort(); // in the middle of the file
    yield new Uint8Array(10);
  }
  await refuses(writeFileWhole(at('kept'), stopped(), stop.signal), 'cancelled');
  assert.is(await fs.readFile(at('kept'), 'utf8'), 'old');
  const nowhere = at('no/folder');
  await refuses(writeFileWhole(nowhere, new Uint8Array(1)), 'file', nowhere, 'its folder is not there');
  await refuses(writeFileWhole(at('kept/x'), new Uint8Array(1)), 'file', 'no folder');
  await refuses(writeFileWhole(folder, new Uint8Array(1)), 'file', 'it is a folder');
  await refuses(writeFileWhole(at('n'.repeat(300)), new Uint8Array(1)), 'file', 'too long');
  assert.equal(
    (await fs.readdir(folder)).filter((name) => name.startsWith('.')),
    [],
  );
});

test('a full disk is named, and a device is never replaced', async () => {
  await writeFileWhole('/dev/null', new Uint8Array(10));
  assert.ok((await fs.stat('/dev/null')).isCharacterDevice());
  if (process.platform !== 'linux') return;
  await refuses(writeFileWhole('/dev/full', new Uint8Array(10)), 'file', '/dev/full', 'disk is full');
});

test.run();
