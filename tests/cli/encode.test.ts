// Pictures to tokens and back, through files.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTensors, writeTensors } from '../../cli/files.ts';
import { failed, mmar, mmarJSON, newFolder, reference } from './mmar.ts';

const folder = newFolder(),
  apple = path.join(reference, 'red-apple.png');
const known: { file: string; psnr: number }[] = JSON.parse(
  fs.readFileSync(path.join(reference, 'reference.json'), 'utf8'),
);
const near = (got: number, want: number) => assert.ok(Math.abs(got - want) <= 0.2, `PSNR ${got}, want ${want}`);

test('encode, then decode', async () => {
  const { psnr } = known.find(({ file }) => file === 'red-apple.png')!;
  const encoded = await mmarJSON<{ file: string; shape: number[]; psnr: number }>(['encode', apple], folder);
  assert.is(encoded.file, 'red-apple.safetensors');
  assert.equal(encoded.shape, [64, 16]);
  near(encoded.psnr, psnr);
  const { tensors, metadata } = await readTensors(path.join(folder, encoded.file));
  assert.equal([...tensors.keys()], ['tokens']);
  assert.equal(tensors.get('tokens')!.shape, [64, 16]);
  assert.is(metadata.picture, 'red-apple.png');

  const decoded = await mmarJSON<{ file: string; psnr: number }>(
    ['decode', encoded.file, '-o', 'back.png', '--compare', apple],
    folder,
  );
  near(decoded.psnr, psnr);
  const again = await mmar(['encode', 'back.png'], { cwd: folder });
  assert.match(again.stdout, /^back\.safetensors {2}tokens \[64, 16\] {2}PSNR \d+\.\d\d dB at 64×64 {2}/);
});

test('a picture of another size and kind', async () => {
  const { default: sharp } = await import('sharp');
  await sharp(apple).resize(300, 200).jpeg().toFile(path.join(folder, 'wide.jpg'));
  const { psnr } = await mmarJSON<{ psnr: number }>(['encode', 'wide.jpg'], folder);
  assert.ok(psnr > 15);
});

test('tokens of another model', async () => {
  await writeTensors(
    path.join(folder, 'odd.safetensors'),
    new Map([['tokens', { shape: [16, 4], values: new Float32Array(64) }]]),
    {},
  );
  failed(
    await mmar(['decode', 'odd.safetensors'], { cwd: folder }),
    1,
    /tokens is \[16, 4\], this model's are \[64, 16\]; encode/,
  );
});

test.run();
