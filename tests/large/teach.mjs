// Teaches the carried model twelve shapes that it does not know, then looks at what it draws and names, and at what it still
// knows: `node tests/large/teach.mjs OUT [--adapter NAME] [train's options]`. OUT/taught.png shows each picture as the image
// tokenizer keeps it, as the model drew its words before, and after. A folder whose run is done is only looked at again.
import fs from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { drawShapes, shapes } from '../../docs/shapes.mjs';
import { adapter, api, out, root, steps, train } from './lesson.mjs';

const { loadMMAR, pictureToPixels, platform, psnr } = api,
  file = (...names) => path.join(out, ...names),
  patch = file('run', 'patch.safetensors'),
  data = await drawShapes(file('shapes'));
if (!fs.existsSync(patch)) train(data, '--steps', '400', '--micro-batch', '1', '--rehearse', '32');
const told = steps();

const side = 64,
  model = await loadMMAR(path.join(root, 'checkpoints/emoji'), { adapter }),
  read = (picture) => platform.decodePicture(fs.readFileSync(picture), picture),
  drawn = async (prompt) => (await model.generate({ prompt, seed: 1 })).picture,
  named = async (image) => (await model.describe({ image })).text.trim();

const rows = [];
for (const prompt of Object.keys(shapes)) {
  const image = await read(file('shapes', `${prompt.replaceAll(' ', '-')}.png`)),
    { tokens } = await model.encode({ image });
  rows.push({ prompt, kept: (await model.decode({ tokens })).picture, before: await drawn(prompt) });
}
await model.usePatch(fs.readFileSync(patch));
for (const row of rows) {
  row.after = await drawn(row.prompt);
  row.psnr = Math.round(10 * psnr(pictureToPixels(row.after, side), pictureToPixels(row.kept, side))) / 10;
  row.read = await named(row.after);
  console.log(`${row.prompt}: ${row.psnr} dB to the tokenizer's own picture, read as ${row.read}`);
}
const known = JSON.parse(fs.readFileSync(path.join(root, 'checkpoints/emoji/reference/reference.json'), 'utf8'));
let stillNamed = 0;
for (const { file: picture, name } of known) {
  const now = await named(await read(path.join(root, 'checkpoints/emoji/reference', picture)));
  if (now === name) stillNamed++;
  else console.log(`${name}: now read as ${now}`);
}
await model.close();

const gap = 6,
  tiles = ['kept', 'before', 'after'].flatMap((which, y) =>
    rows.map(({ [which]: { data, width, height } }, x) => ({
      input: Buffer.from(data),
      raw: { width, height, channels: data.length / (width * height) },
      left: gap + x * (side + gap),
      top: gap + y * (side + gap),
    })),
  );
await sharp({
  create: { width: gap + 12 * (side + gap), height: gap + 3 * (side + gap), channels: 3, background: 'white' },
})
  .composite(tiles)
  .png({ palette: true, compressionLevel: 9 })
  .toFile(file('taught.png'));

const result = {
  steps: told.length,
  seconds: told.at(-1).seconds,
  drawn: rows.filter(({ psnr }) => psnr > 20).length,
  read: rows.filter(({ prompt, read }) => prompt === read).length,
  of: rows.length,
  stillNamed,
  ofKnown: known.length,
  rows: rows.map(({ prompt, psnr, read }) => ({ prompt, psnr, read })),
};
fs.writeFileSync(file('result.json'), `${JSON.stringify(result, undefined, 1)}\n`);
console.log(
  `${result.steps} steps, ${result.seconds.toFixed(0)} s: ${result.drawn} of ${result.of} drawn over 20 dB, ${result.read} read by name; ${stillNamed} of ${known.length} known pictures still named`,
);
