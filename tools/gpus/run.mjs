// `npm run gpus [-- TARGET...]`: what the compilers of GPUs that are not here make of every pipeline of the models, as one table in
// Markdown: instructions, registers, spills, occupancy and, of the hottest loop, multiply-adds of all instructions. Sets the
// compilers up first, in a folder of the user's cache (or `MMAR_GPUS`), on Debian bookworm as root: README.md.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url)),
  root = path.resolve(here, '../..'),
  cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'),
  tool = path.resolve(process.env.MMAR_GPUS ?? path.join(cache, 'mmar/gpus'));
const targets = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const wanted = targets.length ? targets : ['intel:dg2', 'intel:lnl', 'nvidia:172', 'nvidia:1b2', 'adreno:740', 'mali:a867', 'amd:navi31'];
const extra = process.argv.includes('--variants') ? ['--variants'] : [];

function run(command, words, options = {}) {
  const { status, error } = spawnSync(command, words, { stdio: ['ignore', 2, 2], cwd: root, ...options });
  if (error) throw error;
  return status;
}

if (!fs.existsSync(path.join(tool, 'lib/layer.so')) || !fs.existsSync(path.join(tool, 'sid/.done'))) {
  fs.mkdirSync(tool, { recursive: true });
  fs.cpSync(here, tool, { recursive: true });
  if (run('sh', [path.join(tool, 'setup.sh')])) {
    console.error(`gpus: the compilers are not ready: see above; ${path.join(tool, 'setup.sh')} goes on where it stopped`);
    process.exit(1);
  }
}

// In the tool's folder, which is the same inside the other system that some drivers run in.
const out = path.join(tool, 'out');
fs.mkdirSync(out, { recursive: true });
const files = wanted.flatMap((target) => {
  const file = path.join(out, `${target.replaceAll(/[:/]/g, '_')}.txt`),
    said = file.replace(/txt$/, 'log');
  for (const old of [file, said]) fs.rmSync(old, { force: true });
  const log = fs.openSync(said, 'a'); // several processes write to it
  const status = run(path.join(tool, 'gpuc'), [target, 'node', 'cli/mmar.mjs', 'bench', '--compile-only', ...extra], {
    env: { ...process.env, GPUC_OUT: file },
    stdio: ['ignore', log, log],
    timeout: 15 * 60_000,
  });
  const count = fs.existsSync(file) ? (fs.readFileSync(file, 'latin1').match(/^@@/gm) ?? []).length : 0;
  console.error(`gpus: ${target}: ${count} pipelines${status ? `, ended with ${status}: ${said}` : ''}`);
  return count ? [file] : [];
});
if (!files.length) process.exit(1);
spawnSync(process.execPath, [path.join(here, 'summary.mjs'), ...files], { stdio: 'inherit' });
