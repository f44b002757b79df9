// Makes a checkout ready, with nothing but Node: the npm packages of the lock file, and the bundle of the command line.
// `node setup.mjs` does it for `npm start` and `npm test`; `cli/mmar.mjs` whenever the command is run in a checkout. The
// published package holds the bundle, and not this file.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(fileURLToPath(import.meta.url));
const readJSON = (file) => JSON.parse(fs.readFileSync(path.join(root, file), 'utf8'));

/** Installs the packages unless all that the lock file names are there, in its versions. */
export function installPackages() {
  if (isInstalled()) return;
  console.error('mmar: installing the npm packages of package-lock.json into node_modules (npm ci) …');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (npm.status !== 0) {
    console.error(
      `mmar: npm ci failed${npm.error ? ` (${npm.error.message})` : ''}: see above, check the network, and try again`,
    );
    process.exit(1);
  }
  linkCommand();
}

function isInstalled() {
  try {
    const wanted = readJSON('package-lock.json').packages,
      found = readJSON('node_modules/.package-lock.json').packages;
    return Object.entries(wanted).every(
      ([place, { version, optional, devOptional }]) =>
        !place || optional || devOptional || found[place]?.version === version,
    );
  } catch {
    return false;
  }
}

/** `npx mmar` finds a command in node_modules/.bin at once; the package's own is not put there by npm. */
function linkCommand() {
  try {
    fs.symlinkSync('../../cli/mmar.mjs', path.join(root, 'node_modules/.bin/mmar'));
  } catch {
    // It is there already, or the file system has no links: npx then finds it by package.json.
  }
}

const sources = [
  'base',
  'bench',
  'cli',
  'engine',
  'loaders',
  'model',
  'numerics',
  'platform',
  'shaders',
  'training',
  'index.ts',
  'engine.ts',
  'public.ts',
  'esbuild.config.mjs',
  'package.json',
  'package-lock.json',
];
const entries = ['cli/main.ts', 'index.ts', 'engine.ts'];

/** Bundles the command line and the library into `dist` where a source is newer */
export async function bundle() {
  const main = path.join(root, 'dist/cli/main.mjs');
  const built = fs.statSync(main, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (!sources.some((place) => newest(path.join(root, place)) > built)) return main;
  const { buildNode } = await import('./esbuild.config.mjs');
  const { outputFiles } = await buildNode(entries, 'dist', { write: false, absWorkingDir: root });
  // Each file appears whole, for two commands may start at once; the one that is looked at above comes last.
  const order = ({ path: file }) => Number(file === main);
  for (const { path: file, contents } of outputFiles.sort((a, b) => order(a) - order(b))) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(`${file}.${process.pid}`, contents);
    fs.renameSync(`${file}.${process.pid}`, file);
  }
  return main;
}

/** When a file, or anything in a folder, was last changed; a folder itself changes when a file in it goes. */
function newest(place) {
  const stats = fs.statSync(place, { throwIfNoEntry: false });
  if (!stats) return 0;
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(stats.mtimeMs, ...fs.readdirSync(place).map((name) => newest(path.join(place, name))));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  installPackages();
  linkCommand();
  await bundle();
}
