// `npm run site [-- FOLDER]`: the page with the carried checkpoint as a folder that any static host serves, under any path:
// addresses are relative and no header is asked for.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildWeb } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Makes the site in a folder, which is emptied first; gives its size in bytes. */
export async function buildSite(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  await buildWeb(path.relative(root, folder), { sourcemap: false });
  const from = path.join(root, 'checkpoints/emoji'),
    to = path.join(folder, 'checkpoints/emoji');
  fs.mkdirSync(to, { recursive: true });
  for (const file of fs.readdirSync(from).filter((name) => /\.(json|safetensors)$/.test(name)))
    fs.copyFileSync(path.join(from, file), path.join(to, file));
  fs.writeFileSync(path.join(folder, '.nojekyll'), ''); // GitHub Pages takes the files as they are
  return fs
    .readdirSync(folder, { recursive: true })
    .reduce((sum, name) => sum + fs.statSync(path.join(folder, name)).size, 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = path.resolve(process.argv[2] ?? path.join(root, 'dist/site'));
  const bytes = await buildSite(folder);
  console.log(`${folder}: ${(bytes / 1e6).toFixed(1)} MB, for any static host`);
}
