// Draws the README's contact sheet: `node docs/sheet.mjs [adapter]` writes docs/sheet.png, the 16 prompts of the carried
// checkpoint's reference with seed 1, eight in a row, each pixel twice as large.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const prompts = JSON.parse(fs.readFileSync(path.join(root, 'checkpoints/emoji/reference/reference.json'), 'utf8')).map(
  ({ name }) => name,
);
const side = 128,
  gap = 8,
  columns = 8,
  adapter = process.argv[2] ? ['--adapter', process.argv[2]] : [];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sheet-'));

const tiles = [];
for (const [i, prompt] of prompts.entries()) {
  const file = path.join(folder, `${i}.png`);
  execFileSync(
    process.execPath,
    [path.join(root, 'cli/mmar.mjs'), 'generate', prompt, '--seed', '1', '-o', file, ...adapter],
    { stdio: ['ignore', 'inherit', 'ignore'] },
  );
  const input = await sharp(file).resize(side, side, { kernel: 'nearest' }).toBuffer();
  tiles.push({ input, left: gap + (i % columns) * (side + gap), top: gap + Math.floor(i / columns) * (side + gap) });
}
const width = gap + columns * (side + gap),
  height = gap + Math.ceil(tiles.length / columns) * (side + gap);
await sharp({ create: { width, height, channels: 3, background: 'white' } })
  .composite(tiles)
  .png({ compressionLevel: 9 })
  .toFile(path.join(root, 'docs/sheet.png'));
fs.rmSync(folder, { recursive: true });
