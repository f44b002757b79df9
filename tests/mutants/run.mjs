// npm run mutants [WORD …] [--part I/N] [--adapter NAME]: puts single mistakes into a copy of the checkout, one at a time, and
// runs the test that must notice. Prints each, and the score; with words, those whose file or test contains one of them.
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
    adapter: { type: 'string', default: process.env.MMAR_ADAPTER ?? 'lavapipe' },
  },
});
const [part, parts] = values.part.split('/').map(Number),
  minutes = 3,
  wanted = 0.95;

/** All mistakes: of each JSON here its files, the text before and after, and the test that must notice. */
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
function copy() {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-mutants-')),
    left = /^(node_modules|dist|\.git)$/;
  fs.cpSync(root, place, { recursive: true, filter: (file) => !left.test(path.relative(root, file)) });
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'));
  process.on('exit', () => fs.rmSync(place, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  return place;
}

/** Builds and runs one test of the copy: `passed`, `failed`, `hung`, or `unbuilt`. */
async function outcome(place, build, test) {
  const entry = `tests/${test}.test.ts`;
  try {
    await build([entry], 'dist', { absWorkingDir: place, logLevel: 'silent' });
  } catch {
    return 'unbuilt';
  }
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [`dist/tests/${test}.test.mjs`], {
      cwd: place,
      env: { ...process.env, MMAR_ADAPTER: values.adapter, MMAR_BROWSER: 'chromium' },
      stdio: 'ignore',
    });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve('hung');
    }, minutes * 60_000);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code === 0 ? 'passed' : 'failed');
    });
  });
}

const list = mistakes(),
  place = copy();
const { buildNode } = await import(pathToFileURL(path.join(place, 'esbuild.config.mjs')));
const sound = new Map(),
  unnoticed = [],
  useless = [];
let noticed = 0;
for (const { file, before, after, test } of list) {
  const at = path.join(place, file),
    text = fs.existsSync(at) ? fs.readFileSync(at, 'utf8') : '',
    name = `${file}: ${before.trim()} → ${after.trim() || '(nothing)'} [${test}]`.replace(/\s+/g, ' ');
  if (!sound.has(test)) sound.set(test, await outcome(place, buildNode, test));
  const found = text.split(before).length - 1;
  if (found !== 1 || sound.get(test) !== 'passed') {
    useless.push(name);
    console.log(`? ${name}: ${found === 1 ? `its test ${sound.get(test)} without a mistake` : `${found} such places`}`);
    continue;
  }
  fs.writeFileSync(
    at,
    text.replace(before, () => after),
  );
  const result = await outcome(place, buildNode, test);
  fs.writeFileSync(at, text);
  if (result === 'unbuilt') useless.push(name);
  else if (result === 'passed') unnoticed.push(name);
  else noticed++;
  console.log(`${{ passed: '✗', unbuilt: '?' }[result] ?? '✓'} ${name}${result === 'hung' ? ' (hung)' : ''}`);
}
const tried = noticed + unnoticed.length,
  score = tried ? noticed / tried : 0;
console.log(
  `${noticed} of ${tried} mistakes noticed, ${(100 * score).toFixed(1)} %; ${useless.length} could not be tried`,
);
process.exit(score >= wanted && !useless.length ? 0 : 1);
