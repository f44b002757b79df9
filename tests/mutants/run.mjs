// npm run mutants [WORD …] [--part I/N] [--jobs N] [--adapter NAME] [--check]: puts single mistakes into copies of the checkout,
// one at a time each, and runs the test that must notice, up to its first failure. Prints each, and the score; with words,
// those whose file or test contains one of them. `--check` only looks whether every mistake still has its place.
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
    check: { type: 'boolean', default: false },
  },
});
const [part, parts] = values.part.split('/').map(Number),
  wanted = 0.95;

/** A mistake in words, one line. */
const nameOf = ({ file, before, after, test }) =>
  `${file}: ${before.trim()} → ${after.trim() || '(nothing)'} [${test}]`.replace(/\s+/g, ' ');

/**
 * All mistakes: of each JSON here its files, the text before and after, the test that must notice, which of its cases and on
 * which adapter.
 */
function mistakes() {
  const here = path.join(root, 'tests/mutants'),
    lists = fs.readdirSync(here).filter((file) => file.endsWith('.json'));
  const groups = lists.flatMap((list) => JSON.parse(fs.readFileSync(path.join(here, list), 'utf8')));
  const all = groups.flatMap(({ only = '', adapter = values.adapter, ...group }) =>
    group.mistakes.map(([before, after]) => ({ ...group, only, adapter, before, after })),
  );
  const chosen = ({ file, test }) =>
    !positionals.length || positionals.some((word) => file.includes(word) || test.includes(word));
  return all.filter((mistake, i) => chosen(mistake) && i % parts === part - 1);
}

/** How often the text of a mistake stands in its file: it can be made where that is once. */
function placesOf({ file, before }, folder = root) {
  const at = path.join(folder, file);
  return fs.existsSync(at) ? fs.readFileSync(at, 'utf8').split(before).length - 1 : 0;
}

/** A copy of the checkout in which files may be wrong. */
async function makeCopy() {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-mutants-')),
    left = /^(node_modules|dist|\.git)$/;
  process.on('exit', () => fs.rmSync(place, { recursive: true, force: true }));
  fs.cpSync(root, place, { recursive: true, filter: (file) => !left.test(path.relative(root, file)) });
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'));
  fs.mkdirSync(path.join(place, 'tmp')); // what tests leave that are stopped
  const { buildNode, wgsl } = await import(pathToFileURL(path.join(place, 'esbuild.config.mjs')));
  return { place, buildNode, wgsl };
}

/** Tests that run now: they go when this process goes, with what they started. */
const running = new Set();
function signal(child, name) {
  try {
    process.kill(-child.pid, name);
  } catch {
    // It has ended.
  }
}

/** Ends a test: one that can closes its browser, and nobody waits for one that cannot. */
function kill(child) {
  signal(child, 'SIGTERM');
  setTimeout(signal, 3000, child, 'SIGKILL').unref();
}
process.on('exit', () => {
  for (const child of running) kill(child);
});
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(130));

/** The test runner, which leaves out the tests whose names `MMAR_ONLY` does not match. */
const someTests = {
  name: 'some tests',
  setup(build) {
    const shim = path.join(root, 'tests/mutants/some_tests.mjs');
    build.onResolve({ filter: /^uvu$/ }, ({ importer }) => (importer === shim ? undefined : { path: shim }));
  },
};

/** Calls `then` when this process has been awake for so many seconds. */
function afterSeconds(seconds, then) {
  const timer = setInterval(() => --seconds <= 0 && then(), 1000);
  return () => clearInterval(timer);
}

/** Builds and runs one test of a copy up to its first failure: `passed`, `failed`, `hung`, or `unbuilt`; and its seconds. */
async function outcome({ place, buildNode, wgsl }, { test, only, adapter }, limit) {
  const start = performance.now();
  const done = (how) => ({ how, seconds: (performance.now() - start) / 1000 });
  try {
    const plugins = [wgsl, someTests];
    await buildNode([`tests/${test}.test.ts`], 'dist', {
      absWorkingDir: place,
      logLevel: 'silent',
      sourcemap: false,
      plugins,
    });
  } catch {
    return done('unbuilt');
  }
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [`dist/tests/${test}.test.mjs`], {
      cwd: place,
      env: {
        ...process.env,
        TMPDIR: path.join(place, 'tmp'),
        MMAR_ONLY: only,
        MMAR_ADAPTER: adapter,
        MMAR_BROWSER: 'chromium',
      },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    running.add(child);
    let ended;
    const end = (how) => {
      ended ??= how;
      kill(child);
    };
    const still = afterSeconds(limit, () => end('hung'));
    // uvu marks a test that failed so; what follows cannot change the outcome
    child.stdout.setEncoding('utf8').on('data', (text) => text.includes('✘') && end('failed'));
    child.on('close', (code) => {
      running.delete(child);
      still();
      resolve(done(ended ?? (code === 0 ? 'passed' : 'failed')));
    });
  });
}

const unnoticed = [],
  useless = [];
let noticed = 0;

/** Puts one mistake in, and says whether it was noticed. */
async function tryMistake(copy, mistake, limit) {
  const { file, before, after } = mistake;
  const at = path.join(copy.place, file),
    text = fs.readFileSync(at, 'utf8'),
    name = nameOf(mistake);
  fs.writeFileSync(
    at,
    text.replace(before, () => after),
  );
  const { how, seconds } = await outcome(copy, mistake, limit);
  fs.writeFileSync(at, text);
  if (how === 'unbuilt') useless.push(name);
  else if (how === 'passed') unnoticed.push(name);
  else noticed++;
  const mark = { passed: '✗', unbuilt: '?' }[how] ?? '✓';
  console.log(`${mark} ${name} (${seconds.toFixed(1)} s${how === 'hung' ? ', hung' : ''})`);
}

const all = mistakes();
for (const mistake of all) {
  const places = placesOf(mistake);
  if (places !== 1) useless.push(`${nameOf(mistake)}: ${places} such places`);
}
for (const name of useless) console.log(`? ${name}`);
if (values.check) {
  console.log(`${all.length - useless.length} of ${all.length} mistakes have their place`);
  process.exit(useless.length ? 1 : 0);
}

/** The mistakes that have a place, by the cases that must notice. */
const groups = new Map();
for (const mistake of all.filter((mistake) => placesOf(mistake) === 1)) {
  const key = `${mistake.test} ${mistake.only} ${mistake.adapter}`;
  groups.set(key, [...(groups.get(key) ?? []), mistake]);
}
// Long groups first, so that the copies end together.
const list = [...groups.values()].sort((a, b) => b.length - a.length);

/** Takes groups off the list until there are none left, in a copy of its own. */
async function work() {
  const copy = await makeCopy();
  for (let group = list.shift(); group; group = list.shift()) {
    const sound = await outcome(copy, group[0], 300);
    const { test, only } = group[0];
    console.log(`  ${test} ${only}: ${sound.how} without a mistake (${sound.seconds.toFixed(1)} s)`);
    if (sound.how !== 'passed') useless.push(...group.map(nameOf));
    else for (const mistake of group) await tryMistake(copy, mistake, 10 + 5 * sound.seconds);
  }
}

const start = performance.now();
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
const tried = noticed + unnoticed.length,
  score = tried ? noticed / tried : 0;
for (const name of unnoticed) console.log(`not noticed: ${name}`);
const minutes = ((performance.now() - start) / 60_000).toFixed(1);
console.log(
  `${noticed} of ${tried} mistakes noticed, ${(100 * score).toFixed(1)} %; ${useless.length} could not be tried; ${minutes} minutes`,
);
process.exit(score >= wanted && !useless.length ? 0 : 1);
