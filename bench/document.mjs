// `npm run gpus:doc`: docs/gpus.md from the reports in bench/results/*.json and the compilers' table in bench/results/compilers.md,
// which `npm run gpus > bench/results/compilers.md` writes.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url))),
  folder = path.join(root, 'bench/results'),
  target = path.join(root, 'docs/gpus.md');
const own = ['present', 'read_report', 'report'];
await buildNode(
  own.map((name) => `bench/${name}.ts`),
  path.join(root, 'dist'),
  { absWorkingDir: root },
);
const [{ escaped, figure, markdownRow }, { readReport }, { picturesAMinute }] = await Promise.all(
  own.map((name) => import(`../dist/bench/${name}.mjs`)),
);
const reports = fs
  .readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .sort()
  .map((name) => ({ name, ...readReport(fs.readFileSync(path.join(folder, name), 'utf8'), name) }));

const limits = [
  'fma_gflops',
  'fma_f16_gflops',
  'fma_matrix_gflops',
  'read_gbps',
  'copy_gbps',
  'workgroup_gbps',
  'dispatch_us',
  'submit_us',
  'wait_us',
];
const best = ({ kernels }, op) => kernels.filter((k) => k.op === op && k.share).sort((a, b) => b.share - a.share)[0];
const share = (report, op) => {
  const found = best(report, op);
  return found
    ? `${(100 * found.share).toFixed(0)} % of ${found.bound.startsWith('fma') ? 'arithmetic' : 'memory'}`
    : '';
};

/** A table of the compilers' in Markdown: what each target made of each kernel. */
function compiled(file) {
  const cells = (line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const [head, , ...lines] = fs.readFileSync(file, 'utf8').trim().split('\n').map(cells);
  return { targets: head.slice(1), rows: lines.map(([name, ...made]) => ({ name, made })) };
}

/** Of the kernels of a family the one with most spills, then with most instructions: its spills, and how much of its hot loop multiplies. */
function worst({ targets, rows }, target, family) {
  const found = rows
    .filter(({ name }) => family.test(name))
    .map(({ made }) => made[targets.indexOf(target)] ?? '')
    .filter(Boolean)
    .map((cell) => {
      const [, adds, all] = /(\d+)\/(\d+)/.exec(cell) ?? [];
      return {
        spills: Number(/(\d+)s/.exec(cell)[1]),
        size: parseInt(cell, 10),
        share: adds && ` · ${Math.round((100 * adds) / all)} %`,
      };
    });
  const most = found.sort((a, b) => b.spills - a.spills || b.size - a.size)[0];
  return most ? `${most.spills}${most.share ?? ''}` : '–';
}

const families = {
  'matmul, many rows': [/^matmul_tiled/, /^matmul:tiled/],
  'matmul, few rows': [/^matmul_rows/, /^matmul:rows/],
  'attention, many queries': [/^attention d/, /^attention:tile/],
  'attention, few queries': [/^attention_row/, /^attention:row/],
  conv2d: [/^conv2d/, /^conv2d:tiled/],
};
const before = compiled(path.join(root, 'tools/gpus/RESULTS.md')),
  now = compiled(path.join(folder, 'compilers.md'));
const shared = now.targets.filter((target) => before.targets.includes(target));
const change = Object.entries(families).map(([name, [was, is]]) =>
  markdownRow([name, ...shared.map((target) => `${worst(before, target, was)} → ${worst(now, target, is)}`)]),
);

const text = `# GPUs

Measured by \`mmar bench --json\` (\`npx mmar bench --help\`, or the page's Benchmark tab), one report an adapter in \`bench/results\`; this page
is made of them by \`npm run gpus:doc\`. A report of a card that is not here is welcome: the issue form "A benchmark result" asks for it.

## Adapters

Limits: multiply-adds in f32, f16 and subgroup matrices (GFLOP/s), reading and copying memory and reading workgroup memory (GB/s), a dispatch, a submission, a
submission waited for (µs). Kernels: the largest share of those limits that a shape of the models reaches.

${markdownRow(['adapter', 'runtime', ...limits.map((key) => key.replace(/_/g, ' ')), 'matmul', 'attention', 'conv2d', 'pictures a minute'])}
${markdownRow(['---', '---', ...limits.map(() => '---:'), '---', '---', '---', '---'])}
${reports
  .map((r) => {
    const drawn = picturesAMinute(r);
    return markdownRow([
      `[${escaped(r.adapter.name)}](../bench/results/${r.name})`,
      escaped(r.adapter.runtime),
      ...limits.map((key) => figure(r.limits[key])),
      ...['matmul', 'attention', 'conv2d'].map((op) => share(r, op)),
      drawn ? `${figure(drawn.value)} (${escaped(drawn.model)})` : '',
    ]);
  })
  .join('\n')}

${reports.flatMap((r) => r.notes.map((note) => `- ${escaped(r.adapter.name)}: ${escaped(note)}.`)).join('\n')}

## What other GPUs' compilers make of the kernels

\`npm run gpus\` sets up the compilers of AMD, Intel, NVIDIA, Qualcomm and ARM GPUs on a machine that has none of these (\`tools/gpus\`) and
compiles every pipeline of the models. A cell: instructions, registers (r), spills (s, bold where there are any), occupancy in the compiler's own
unit, and of the loop with most multiply-adds these over all its instructions (its accesses to scratch memory, x).

${fs.readFileSync(path.join(folder, 'compilers.md'), 'utf8').trim()}

### Before there were kernels for GPUs

The same of commit de3c479 (\`tools/gpus/RESULTS.md\`) and now: spills of the pipeline that spills most, or is largest, and how much of its
hottest loop is multiply-adds.

${markdownRow(['kernel', ...shared])}
${markdownRow(['---', ...shared.map(() => '---')])}
${change.join('\n')}
`;
fs.writeFileSync(target, text);
console.log(`${path.relative(process.cwd(), target)}: ${reports.length} adapters`);
