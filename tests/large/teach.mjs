// Teaches the carried model twelve shapes that it does not know, and looks at what it draws and names then, and at what it still
// knows: `node tests/large/teach.mjs OUT [--adapter NAME] [train's options]`. Takes minutes on a software adapter.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { drawShapes, shapes } from '../../docs/shapes.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url)))),
  [out, ...options] = process.argv.slice(2);
if (!out) {
  console.error('teach: no folder is given; node tests/large/teach.mjs OUT');
  process.exit(2);
}
const at = options.indexOf('--adapter'),
  adapter = at >= 0 ? options.splice(at, 2) : [];
const mmar = (...words) =>
  execFileSync(process.execPath, [path.join(root, 'cli/mmar.mjs'), ...words, ...adapter], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
const file = (...names) => path.join(out, ...names),
  patch = ['--patch', file('run', 'patch.safetensors')],
  known = JSON.parse(fs.readFileSync(path.join(root, 'checkpoints/emoji/reference/reference.json'), 'utf8')),
  named = (picture, more) => JSON.parse(mmar('describe', picture, '--json', ...more)).text.trim();

fs.mkdirSync(out, { recursive: true });
const data = await drawShapes(file('shapes'));
const start = performance.now();
mmar('train', data, '--out', file('run'), ...options);
const seconds = Math.round((performance.now() - start) / 1000);

/** PSNR of two pictures of one size, in dB. */
async function psnr(a, b) {
  const [x, y] = await Promise.all([a, b].map((picture) => sharp(picture).removeAlpha().raw().toBuffer()));
  const error = x.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0) / x.length;
  return 10 * Math.log10(255 ** 2 / error);
}

const rows = [];
for (const prompt of Object.keys(shapes)) {
  const name = prompt.replaceAll(' ', '-'),
    drawn = file(`${name}.png`),
    kept = file(`${name}-kept.png`);
  mmar('encode', file('shapes', `${name}.png`), '-o', file('tokens.safetensors'));
  mmar('decode', file('tokens.safetensors'), '-o', kept);
  mmar('generate', prompt, '--seed', '1', '-o', drawn, ...patch);
  rows.push({ prompt, psnr: Math.round(10 * (await psnr(drawn, kept))) / 10, read: named(drawn, patch) });
  console.log(`${prompt}: ${rows.at(-1).psnr} dB to the tokenizer's own picture, read as ${rows.at(-1).read}`);
}
const still = known.filter(({ file: picture, name }) => {
  const read = named(path.join(root, 'checkpoints/emoji/reference', picture), patch);
  if (read !== name) console.log(`${name}: now read as ${read}`);
  return read === name;
});
const result = {
  seconds,
  drawn: rows.filter(({ psnr }) => psnr > 20).length,
  read: rows.filter(({ prompt, read }) => prompt === read).length,
  of: rows.length,
  stillNamed: still.length,
  ofKnown: known.length,
  rows,
};
fs.writeFileSync(file('result.json'), `${JSON.stringify(result, undefined, 1)}\n`);
console.log(
  `${seconds} s: ${result.drawn} of ${result.of} drawn over 20 dB, ${result.read} read by name; ${result.stillNamed} of ${result.ofKnown} known pictures still named`,
);
