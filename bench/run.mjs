// node bench/run.mjs [NAMES] [--adapter NAME] [--json]: times the kernels whose names contain one of NAMES, or all.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNode } from '../esbuild.config.mjs';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { adapter: { type: 'string' }, json: { type: 'boolean', default: false } },
});
const kernels = fs
  .readdirSync('bench/shaders')
  .map((f) => path.basename(f, '.bench.ts'))
  .sort();
const wanted = kernels.filter((k) => !positionals.length || positionals.some((name) => k.includes(name)));
if (!wanted.length) {
  console.error(`no kernel's name contains ${positionals.join(' or ')}; there are ${kernels.join(', ')}`);
  process.exit(1);
}
await buildNode(['bench/harness.ts', ...wanted.map((k) => `bench/shaders/${k}.bench.ts`)], 'dist', {
  splitting: true,
  chunkNames: 'bench/[name]-[hash]',
});
const load = (file) => import(new URL(`../dist/bench/${file}.mjs`, import.meta.url));
const benches = await Promise.all(
  wanted.map(async (kernel) => ({ kernel, cases: (await load(`shaders/${kernel}.bench`)).cases })),
);
await (await load('harness')).runBenches(benches, values.adapter, values.json);
process.exit(0);
