// Encoding and decoding every reference picture keeps as much as the checkpoint's README says.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readPicture } from '../../cli/files.ts';
import { psnrTo } from '../../cli/psnr.ts';
import { Device } from '../../engine/device.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { nodePlatform } from '../../platform/node.ts';
import { nodeAdapter } from '../../platform/node_gpu.ts';

const folder = 'checkpoints/emoji',
  reference = path.join(folder, 'reference');
const known: { file: string; psnr: number; answer: string }[] = JSON.parse(
  fs.readFileSync(path.join(reference, 'reference.json'), 'utf8'),
);
// On the fastest adapter alone: that all give the same bits is for other tests.
const device = await Device.open((await nodeAdapter()).adapter),
  model = await loadMMAR(nodePlatform.source(folder), { device });

for (const { file, psnr, answer } of known) {
  test(`${file}: ${psnr} dB, ${answer}`, async () => {
    const picture = await readPicture(path.join(reference, file));
    const got = psnrTo(
      picture,
      await model.decodePixels((await model.encode({ image: picture })).tokens),
      model.config.image_tokenizer.resolution,
    );
    assert.ok(Math.abs(got - psnr) <= 0.2, `PSNR ${got}`);
    assert.is((await model.describe({ image: picture })).text, answer);
  });
}

test.run();
