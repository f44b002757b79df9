// `npm start`, the main job: draws a picture from words, says where it is, and reads it back into words.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const prompt = process.argv[2] ?? 'red apple',
  file = path.join(root, 'picture.png');

for (const words of [
  ['generate', prompt, '--seed', '1', '--profile', '-o', file],
  ['describe', file, '--verbose'],
]) {
  console.log(`\n$ npx mmar ${words.map((word) => (/[^\w./-]/.test(word) ? JSON.stringify(word) : word)).join(' ')}`);
  const { status } = spawnSync(process.execPath, [path.join(root, 'cli/mmar.mjs'), ...words], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 130);
}
