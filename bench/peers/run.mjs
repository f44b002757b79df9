// `npm run bench:peers [-- MxKxN …] [--node [--adapter NAME]]`: mmar's matrix product beside other libraries' on one adapter, in
// turns: in one Chromium, or in Node. Prints Markdown; `--json` rows. What it runs beside mmar it installs into this folder on its
// first run.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { buildNode, wgsl } from '../../esbuild.config.mjs';

const here = path.dirname(fileURLToPath(import.meta.url)),
  root = path.join(here, '../..'),
  packages = path.join(here, 'node_modules');
/** Of MMAR-0.5B: a decoded token, a diffusion step, a step of a picture, a prefill. */
const models = ['1x896x4864', '8x1024x1024', '64x896x4864', '256x896x4864'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'boolean' }, adapter: { type: 'string', default: '' }, json: { type: 'boolean' } },
});
const shapes = (positionals.length ? positionals : models).map((text) => text.split('x').map(Number));
for (const shape of shapes)
  if (shape.length !== 3 || !shape.every((size) => size > 0 && Number.isInteger(size))) {
    console.error(`mmar: ${shape.join('x')} is no shape; give MxKxN, such as 256x896x4864`);
    process.exit(2);
  }
if (!fs.existsSync(packages))
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], {
    cwd: here,
    stdio: ['ignore', 2, 2],
  });

const { place, rows } = await (values.node ? inNode() : inChromium());
if (values.json) console.log(JSON.stringify(rows, undefined, 1));
else print(rows, place);

/** In a process of its own, from a folder where Node finds the libraries. */
async function inNode() {
  await buildNode(['bench/peers/in_node.mjs'], path.join(packages, '.contest'), { absWorkingDir: root });
  const script = path.join(packages, '.contest/bench/peers/in_node.mjs'),
    words = [script, values.adapter, packages, ...shapes.map((shape) => shape.join('x'))];
  return JSON.parse(execFileSync(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] }));
}

async function inChromium() {
  const outdir = fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-peers-'));
  process.on('exit', () => fs.rmSync(outdir, { recursive: true, force: true }));
  await build({
    entryPoints: [path.join(here, 'contest.mjs')],
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    plugins: [wgsl],
    logLevel: 'error',
  });
  await buildNode(['tests/web/browsers.ts'], 'dist', { absWorkingDir: root });
  const { launch, adapterOf } = await import('../../dist/tests/web/browsers.mjs');
  const server = serve(outdir);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await launch('chromium');
  if (typeof browser === 'string') {
    console.error(`mmar: ${browser}`);
    process.exit(1);
  }
  try {
    const page = await browser.newPage(),
      address = `http://127.0.0.1:${server.address().port}`;
    page.on('pageerror', (error) => console.error(String(error)));
    await page.exposeFunction('tell', (what) => console.error(what));
    await page.goto(`${address}/`);
    await page.addScriptTag({ type: 'module', url: `${address}/contest.js` });
    await page.waitForFunction('globalThis.contest');
    const run = (shapes, folder) => globalThis.contest(shapes, { folder, tell: globalThis.tell }),
      rows = await page.evaluate(run, shapes, `${address}/peers/`);
    return { place: `${await browser.version()} on ${adapterOf.chromium}`, rows };
  } finally {
    await browser.close();
    server.close();
  }
}

/** An empty page, what was built, and the libraries' packages under /peers/. */
function serve(outdir) {
  const types = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
  return http.createServer(({ url }, response) => {
    if (url === '/') return response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>peers</title>');
    const file = url.startsWith('/peers/') ? path.join(packages, url.slice(7)) : path.join(outdir, url.slice(1));
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream' });
    fs.createReadStream(file).pipe(response);
  });
}

/** A line a shape, a column a library: milliseconds, and how many times mmar's. */
function print(rows, place) {
  const names = [...new Set(rows.map(({ peer }) => peer))],
    of = ({ ms, ratio, error }) => (error ? error : `${Number(ms.toPrecision(3))} ms (${ratio.toFixed(2)})`);
  console.log(
    `${place}; milliseconds a product [m, k] × [k, n], and in brackets how many times those of mmar in bf16\n`,
  );
  console.log(`| m×k×n | ${names.join(' | ')} |\n|---|${'---:|'.repeat(names.length)}`);
  for (const [m, k, n] of shapes) {
    const cells = names.map((name) => rows.find((r) => r.peer === name && r.m === m && r.k === k && r.n === n));
    console.log(`| ${m}×${k}×${n} | ${cells.map(of).join(' | ')} |`);
  }
}
