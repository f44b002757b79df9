// npm run mutants [WORD …] [--part I/N] [--jobs N] [--adapter NAME]: puts single mistakes into copies of the checkout, one at
// a time each, and runs the test that must notice, up to its first failure. Prints each, and the score; with words, those
// whose file or test contains one of them.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    part: { type: 'string', default: '1/1' },
    jobs: { type: 'string', default: '2' },
    adapter: { type: 'string', default: process.env.MMAR_ADAPTER ?? 'lavapipe' },
  },
});
const [part, parts] = values.part.split('/').map(Number),
  minutes = 3,
  wanted = 0.95;

/** All mistakes: of each JSON here its files, the text before and after, the test that must notice, and which of its cases. */
function mistakes() {
  const here = path.join(root, 'tests/mutants'),
    lists = fs.readdirSync(here).filter((file) => file.endsWith('.json'));
  const groups = lists.flatMap((list) => JSON.parse(fs.readFileSync(path.join(here, list), 'utf8')));
  const all = groups.flatMap((group) => group.mistakes.map(([before, after]) => ({ ...group, before, after })));
  const chosen = ({ file, test }) =>
    !positionals.length || positionals.some((word) => file.includes(word) || test.includes(word));
  return all.filter((mistake, i) => chosen(mistake) && i % parts === part - 1);
}

/** A copy of the checkout in which files may be wrong. */
async function makeCopy() {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-mutants-')),
    left = /^(node_modules|dist|\.git)$/;
  process.on('exit', () => fs.rmSync(place, { recursive: true, force: true }));
  fs.cpSync(root, place, { recursive: true, filter: (file) => !left.test(path.relative(root, file)) });
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'));
  const { buildNode, wgsl } = await import(pathToFileURL(path.join(place, 'esbuild.config.mjs')));
  return { place, buildNode, wgsl };
}

/** Tests that run now: they go when this process goes. */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

/** The test runner, which leaves out the tests whose names `MMAR_ONLY` does not match. */
const someTests = {
  name: 'some tests',
  setup(build) {
    const shim = path.join(root, 'tests/mutants/some_tests.mjs');
    build.onResolve({ filter: /^uvu$/ }, ({ importer }) => (importer === shim ? undefined : { path: shim }));
  },
};

/** Builds and runs one test of a copy up to its first failure: `passed`, `failed`, `hung`, or `unbuilt`. */
async function outcome({ place, buildNode, wgsl }, { test, only = '' }) {
  try {
    const entry = `tests/${test}.test.ts`;
    await buildNode([entry], 'dist', { absWorkingDir: place, logLevel: 'silent', plugins: [wgsl, someTests] });
  } catch {
    return 'unbuilt';
  }
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [`dist/tests/${test}.test.mjs`], {
      cwd: place,
      env: { ...process.env, MMAR_ONLY: only, MMAR_ADAPTER: values.adapter, MMAR_BROWSER: 'chromium' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    running.add(child);
    let ended;
    const end = (how) => {
      ended ??= how;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(end, minutes * 60_000, 'hung');
    // uvu marks a test that failed so; what follows cannot change the outcome
    child.stdout.setEncoding('utf8').on('data', (text) => text.includes('✘') && end('failed'));
    child.on('close', (code) => {
      running.delete(child);
      clearTimeout(timer);
      resolve(ended ?? (code === 0 ? 'passed' : 'failed'));
    });
  });
}

const list = mistakes(),
  sound = new Map(),
  unnoticed = [],
  useless = [];
let noticed = 0;

/** Puts one mistake in, and says whether it was noticed. */
async function tryMistake(copy, mistake) {
  const { file, before, after, test, only = '' } = mistake;
  const at = path.join(copy.place, file),
    text = fs.existsSync(at) ? fs.readFileSync(at, 'utf8') : '',
    name = `${file}: ${before.trim()} → ${after.trim() || '(nothing)'} [${test}]`.replace(/\s+/g, ' ');
  const found = text.split(before).length - 1;
  const useful = found === 1;
  const key = `${test} ${only}`;
  if (useful && !sound.has(key)) sound.set(key, outcome(copy, mistake));
  if (!useful || (await sound.get(key)) !== 'passed') {
    useless.push(name);
    console.log(`? ${name}: ${useful ? `its test ${await sound.get(key)} without a mistake` : `${found} such places`}`);
    return;
  }
  fs.writeFileSync(
    at,
    text.replace(before, () => after),
  );
  const result = await outcome(copy, mistake);
  fs.writeFileSync(at, text);
  if (result === 'unbuilt') useless.push(name);
  else if (result === 'passed') unnoticed.push(name);
  else noticed++;
  console.log(`${{ passed: '✗', unbuilt: '?' }[result] ?? '✓'} ${name}${result === 'hung' ? ' (hung)' : ''}`);
}

/** Takes mistakes off the list until there are none left, in a copy of its own. */
async function work() {
  const copy = await makeCopy();
  for (let mistake = list.shift(); mistake; mistake = list.shift()) await tryMistake(copy, mistake);
}

await Promise.all(Array.from({ length: Number(values.jobs) }, work));
const tried = noticed + unnoticed.length,
  score = tried ? noticed / tried : 0;
for (const name of unnoticed) console.log(`not noticed: ${name}`);
console.log(
  `${noticed} of ${tried} mistakes noticed, ${(100 * score).toFixed(1)} %; ${useless.length} could not be tried`,
);
process.exit(score >= wanted && !useless.length ? 0 : 1);
