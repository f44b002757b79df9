// What the runs that teach a model share: `node NAME.mjs OUT [--adapter NAME] [train's options]`.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from '../../setup.mjs';

export const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const [, script, given, ...options] = process.argv;
if (!given) {
  const name = path.basename(script);
  console.error(`${name}: no folder is given; node tests/large/${name} OUT`);
  process.exit(2);
}
const at = options.indexOf('--adapter'),
  named = at >= 0 ? options.splice(at, 2) : [];

/** The folder for all that is made. */
export const out = given;
export const [, adapter] = named;
fs.mkdirSync(out, { recursive: true });
await bundle();

/** mmar as a package has it. */
export const api = await import(path.join(root, 'dist/index.mjs'));

/** Runs `mmar train` on a folder of pictures, with these options unless the user gave others. */
export const train = (data, ...usual) =>
  execFileSync(
    process.execPath,
    [path.join(root, 'cli/mmar.mjs'), 'train', data, '--out', path.join(out, 'run'), ...usual, ...options, ...named],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );

/** What each step of the run told. */
export const steps = () =>
  fs
    .readFileSync(path.join(out, 'run', 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
