// Runs every test (or those whose path contains an argument) on every adapter found here; ends with
// `N passed, N failed, N skipped`. A test that names `gpu.ts` runs once an adapter, one that names `inBrowsers` once a
// browser, all others once. Two run at a time: compilers and browsers leave a core idle for much of theirs.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode, buildWeb } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const wanted = process.argv.slice(2);
const all = fs
  .readdirSync('tests', { recursive: true })
  .map((f) => `tests/${f}`)
  .filter((f) => f.endsWith('.test.ts'))
  .sort();
const tests = all.filter((f) => !wanted.length || wanted.some((w) => f.includes(w)));
/** Judged by the clock, so nothing may run beside it. */
const timed = /^tests\/(bench|cli\/stop|engine\/queue|web\/bench)/;
await buildNode([...tests, 'tests/adapters.ts'], 'dist');
if (tests.some((f) => f.startsWith('tests/web/'))) await buildWeb('dist/browser');

/** The tests that run now: they go when this process goes. */
const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    for (const child of running) child.kill('SIGKILL');
    process.exit(130);
  });

/** Runs one process; resolves to its output and exit code, and kills it after `minutes`. */
function run(file, env, minutes = 20) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--enable-source-maps', file], {
      env: { ...process.env, MMAR_WEB_BUILT: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let out = '';
    const hear = (text) => {
      out += text;
    };
    const kill = () => {
      hear(`\ntimed out after ${minutes} minutes\n`);
      child.kill('SIGKILL');
    };
    const timer = setTimeout(kill, minutes * 60_000);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ out, code: code ?? signal });
    });
  });
}

const found = await run('dist/tests/adapters.mjs', {});
const adapters = JSON.parse(found.out.trim().split('\n').at(-1));
for (const a of adapters)
  console.log(a.missing ? `adapter ${a.name}: not here: ${a.missing}` : `adapter ${a.name}: ${a.description}`);

const total = { passed: 0, failed: 0, skipped: 0 };

/** What Dawn says of every device it makes: it would bury what failed. */
const chatter = /Warning: max\w+ artificially reduced from .+\n/g;

/** Runs a test where it is to run, counts what came of it and says so. */
async function tell({ test, place, env, missing }) {
  const name = test.slice(6) + place;
  if (missing) {
    total.skipped++;
    console.log(`  skipped ${name}: ${missing}`);
    return;
  }
  const start = performance.now();
  const { out, code } = await run(`dist/${test.replace(/\.ts$/, '.mjs')}`, env);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const read = (word) =>
    [...out.matchAll(new RegExp(`^\\s*${word}:\\s*(\\d+)`, 'gm'))].reduce((sum, m) => sum + Number(m[1]), 0);
  const ran = read('Total'),
    passed = read('Passed'),
    skipped = read('Skipped');
  const failed = Math.max(ran - passed, code === 0 && ran + skipped > 0 ? 0 : 1); // uvu's total leaves out what it skips
  total.passed += passed;
  total.skipped += skipped;
  total.failed += failed;
  const counts = `${passed} passed${failed ? `, ${failed} failed` : ''}${skipped ? `, ${skipped} skipped` : ''}`;
  console.log(`${failed ? '✗' : '✓'} ${name}: ${counts} (${seconds} s)`);
  for (const line of out.match(/^skipped: .+$/gm) ?? []) console.log(`    ${line}`);
  if (failed) console.log(out.replace(chatter, '').replace(/^/gm, '    '), code === 0 ? '' : `    exit: ${code}`);
}

/** Runs `jobs` from first to last, up to `width` at a time. */
async function inTurns(jobs, width) {
  const left = jobs.values();
  const take = async () => {
    for (const job of left) await tell(job);
  };
  await Promise.all(Array.from({ length: width }, take));
}

const browsers = process.env.MMAR_BROWSER?.split(',') ?? ['chromium', 'firefox'];
const onAdapter = ({ name, missing }) => ({ place: ` on ${name}`, env: { MMAR_ADAPTER: name }, missing });
const inBrowser = (name) => ({ place: ` in ${name}`, env: { MMAR_BROWSER: name } });
const jobs = tests.flatMap((test) => {
  const source = fs.readFileSync(test, 'utf8');
  let places = [{ place: '', env: {} }];
  if (/from '.*\/gpu\.ts'/.test(source)) places = adapters.map(onAdapter);
  if (/\binBrowsers\b/.test(source)) places = browsers.map(inBrowser);
  return places.map((of) => ({ test, ...of }));
});
await inTurns(
  jobs.filter(({ test }) => !timed.test(test)),
  Math.min(2, os.availableParallelism()),
);
await inTurns(
  jobs.filter(({ test }) => timed.test(test)),
  1,
);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed || !total.passed ? 1 : 0);
