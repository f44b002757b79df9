// node tests/large/limits.mjs [--adapter NAME] [--runs 2]: an adapter's limits by several runs of `mmar bench --only limits`, one
// after another, and how many times the least the largest is; ends with 1 where one of them is more than 10 % apart.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { adapter: { type: 'string' }, runs: { type: 'string', default: '2' } } });
const mmar = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../cli/mmar.mjs'),
  words = [mmar, 'bench', '--only', 'limits', '--json', ...(values.adapter ? ['--adapter', values.adapter] : [])];
const runs = Array.from({ length: Number(values.runs) }, () =>
  JSON.parse(execFileSync(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })),
);
console.log(runs[0].adapter.name);
for (const key of Object.keys(runs[0].limits)) {
  const found = runs.map(({ limits }) => limits[key]),
    apart = Math.max(...found) / Math.min(...found);
  if (apart > 1.1) process.exitCode = 1;
  const shown = found.map((value) => value.toPrecision(3).padStart(8)).join(' ');
  console.log(`${key.padEnd(16)} ${shown}   ${apart.toFixed(2)}${apart > 1.1 ? ' !' : ''}`);
}
