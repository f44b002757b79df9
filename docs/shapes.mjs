// Draws twelve plain shapes for the model to be taught: `node docs/shapes.mjs DIR` writes 64×64 pictures and their metadata.jsonl.
import fs from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';

/** Each picture's words and what stands on its white ground. */
export const shapes = JSON.parse(fs.readFileSync(new URL('shapes.json', import.meta.url), 'utf8'));

/** Writes them into a folder; gives its path. */
export async function drawShapes(folder) {
  fs.mkdirSync(folder, { recursive: true });
  const lines = [];
  for (const [text, shape] of Object.entries(shapes)) {
    const file_name = `${text.replaceAll(' ', '-')}.png`;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="white"/>${shape}</svg>`;
    await sharp(Buffer.from(svg)).removeAlpha().png().toFile(path.join(folder, file_name));
    lines.push(JSON.stringify({ file_name, text }));
  }
  fs.writeFileSync(path.join(folder, 'metadata.jsonl'), `${lines.join('\n')}\n`);
  return folder;
}

if (process.argv[1] && import.meta.url.endsWith(path.basename(process.argv[1]))) {
  const [folder] = process.argv.slice(2);
  if (!folder) {
    console.error('shapes: no folder is given; node docs/shapes.mjs DIR');
    process.exit(2);
  }
  console.log(await drawShapes(folder));
}
