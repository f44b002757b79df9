// Whether this checkout gives the bits of another: `node tests/large/same_as.mjs CHECKOUT [--adapters lavapipe,swiftshader]
// [--prompts 16] [--mine="--plora separate"]` draws the prompts of the carried checkpoint's reference, reads the pictures,
// and runs every golden case that both know, in f32 and bf16, by the command lines of both, this one's with the words of
// `--mine`. Prints what differs, and exits 1 where something does.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    adapters: { type: 'string', default: 'lavapipe,swiftshader' },
    prompts: { type: 'string', default: '16' },
    mine: { type: 'string', default: '' },
  },
});
const [other] = positionals;
if (!other) throw new Error('give the folder of another checkout');

const reference = path.join(here, 'checkpoints/emoji/reference/reference.json');
const prompts = JSON.parse(fs.readFileSync(reference, 'utf8'))
  .map(({ name }) => name)
  .slice(0, Number(values.prompts));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'same-as-'));

/** Runs one command of a checkout; gives what it printed, or undefined where it failed. */
function run(checkout, args) {
  try {
    const own = checkout === here ? values.mine.split(' ').filter(Boolean) : [];
    const command = [path.join(checkout, 'cli/mmar.mjs'), ...args, ...own];
    return execFileSync(process.execPath, command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch {
    return undefined;
  }
}

let compared = 0;
const different = [];
const skipped = [];

/** Notes whether both checkouts give the same bytes; `results` runs one of them. */
function compare(what, results) {
  const [mine, theirs] = [here, other].map((checkout, i) => results(checkout, i));
  if (theirs === undefined) skipped.push(what);
  else if (mine === undefined) different.push(`${what} (it fails here)`);
  else if (!mine.equals(theirs)) different.push(what);
  compared += theirs === undefined ? 0 : 1;
}

for (const adapter of values.adapters.split(','))
  for (const precision of ['bf16', 'f32']) {
    const common = ['--adapter', adapter, '--precision', precision];
    for (const prompt of prompts) {
      const png = (i) => path.join(folder, `${i}.png`);
      compare(`${adapter} ${precision} generate ${prompt}`, (checkout, i) => {
        const done = run(checkout, ['generate', prompt, '--seed', '1', '-o', png(i), ...common]);
        return done === undefined ? undefined : fs.readFileSync(png(i));
      });
      compare(`${adapter} ${precision} describe ${prompt}`, (checkout) => {
        const answer = run(checkout, ['describe', png(1), '--json', ...common]);
        return answer === undefined ? undefined : Buffer.from(JSON.parse(answer).text);
      });
    }
    for (const model of fs.readdirSync(path.join(here, 'tests/golden'), { withFileTypes: true })) {
      if (!model.isDirectory()) continue;
      const place = path.join(here, 'tests/golden', model.name);
      for (const file of fs.readdirSync(path.join(place, 'cases'))) {
        if (file.startsWith('train')) continue;
        const part = file.replace(/\.safetensors$/, '').replace(/-.*/, '');
        const input = path.join(place, 'cases', file);
        compare(`${adapter} ${precision} ${model.name} ${file}`, (checkout, i) => {
          const out = path.join(folder, `${i}.safetensors`);
          const done = run(checkout, ['trace', part, '--model', place, '--in', input, '--out', out, ...common]);
          return done === undefined ? undefined : fs.readFileSync(out);
        });
      }
    }
    console.log(`${adapter} ${precision}: ${compared} compared so far, ${different.length} differ`);
  }
fs.rmSync(folder, { recursive: true });
for (const what of different) console.log(`differs: ${what}`);
if (skipped.length) console.log(`${skipped.length} that the other cannot run: ${skipped.join(', ')}`);
console.log(`${compared} compared, ${different.length} differ`);
process.exit(different.length || !compared ? 1 : 0);
