// Draws twelve plain shapes for the model to be taught: `node docs/shapes.mjs DIR` writes 64×64 pictures and their metadata.jsonl.
import fs from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';

const stripes = (colour, width) =>
  Array.from(
    { length: 4 },
    (_, i) => `<rect x="4" y="${6 + 14 * i}" width="56" height="${width}" fill="${colour}"/>`,
  ).join('');
const dots = (colour) =>
  [16, 32, 48].flatMap((x) => [16, 32, 48].map((y) => `<circle cx="${x}" cy="${y}" r="6" fill="${colour}"/>`)).join('');
const checks = (colour) =>
  Array.from({ length: 16 }, (_, i) => [i % 4, Math.floor(i / 4)])
    .filter(([x, y]) => (x + y) % 2 === 0)
    .map(([x, y]) => `<rect x="${8 + 12 * x}" y="${8 + 12 * y}" width="12" height="12" fill="${colour}"/>`)
    .join('');

/** Each picture's words and what stands on its white ground. */
export const shapes = {
  'red triangle': '<path d="M32 8 58 54H6z" fill="#d62828"/>',
  'blue square': '<rect x="10" y="10" width="44" height="44" fill="#1d4ed8"/>',
  'green circle': '<circle cx="32" cy="32" r="24" fill="#16a34a"/>',
  'yellow cross': '<path d="M24 8h16v16h16v16H40v16H24V40H8V24h16z" fill="#facc15"/>',
  'purple diamond': '<path d="M32 6 56 32 32 58 8 32z" fill="#7e22ce"/>',
  'orange ring': '<circle cx="32" cy="32" r="19" fill="none" stroke="#f97316" stroke-width="10"/>',
  'black stripes': stripes('#111111', 8),
  'pink dots': dots('#ec4899'),
  'brown bar': '<rect x="6" y="24" width="52" height="16" fill="#92400e"/>',
  'grey checks': checks('#6b7280'),
  'blue arrow': '<path d="M6 24h28V10l24 22-24 22V40H6z" fill="#0ea5e9"/>',
  'green half moon': '<path d="M32 8a24 24 0 0 0 0 48z" fill="#15803d"/>',
};

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
