// The package as a user gets it: packed, installed into an empty folder, run, imported, type-checked, bundled for browsers
// with esbuild and with Vite, and the Vite build drawing in Chromium. npm fetches what its cache lacks.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newFolder, root } from './cli/mmar.ts';
import { launch } from './web/browsers.ts';

const tools = ['vite@8.3.8', 'esbuild@0.28.2', 'typescript@7.0.2', '@types/node@20.19.43'];
const folder = newFolder(),
  app = path.join(folder, 'app'),
  installed = path.join(app, 'node_modules/mmar');
const at = (file: string): string => path.join(app, file);
test.after(() => fs.rmSync(folder, { recursive: true }));

/** Runs a command in the user's folder; gives what it printed, and fails with all of that. */
function run(command: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd: app, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')} exited ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}
const npm = (...words: string[]): string => run('npm', ...words, '--prefer-offline', '--no-audit', '--no-fund');
const write = (files: Record<string, string>): void => {
  for (const [file, text] of Object.entries(files)) fs.writeFileSync(at(file), text);
};

/** A page that draws in a worker, as an application would hold it. */
const page = `
import { connectWorker } from 'mmar/client';
const engine = connectWorker();
await engine.openDevice();
const model = await engine.loadMMAR(new URL('checkpoint', location.href).href, { keep: false });
for await (const step of model.generateStream({ prompt: 'red apple', seed: 1 }))
  if (step.known === step.total) document.title = JSON.stringify([...(await step.preview()).data]);
`;

/** Serves files by the folders that their paths begin with. */
async function serve(places: Record<string, string>): Promise<http.Server> {
  const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
  const server = http.createServer(({ url = '/' }, response) => {
    const name = url === '/' ? '/index.html' : url;
    const [prefix, place] = Object.entries(places).find(([prefix]) => name.startsWith(prefix))!;
    const file = path.join(place, name.slice(prefix.length));
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream' });
    return response.end(fs.readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

test('packs, and installs into an empty folder', () => {
  execFileSync('npm', ['pack', '--pack-destination', folder], { cwd: root, stdio: 'pipe' });
  const [file] = fs.readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  fs.mkdirSync(app);
  write({ 'package.json': '{ "private": true, "type": "module" }' });
  npm('install', path.join(folder, file));
  for (const source of ['engine', 'shaders', 'setup.mjs', 'esbuild.config.mjs', 'cli/main.ts'])
    assert.not.ok(fs.existsSync(path.join(installed, source)), source);
  for (const tool of ['esbuild', 'wgsl-preprocessor']) assert.not.ok(fs.existsSync(at(`node_modules/${tool}`)), tool);
});

test('the command draws the picture that the checkout draws, and builds nothing', () => {
  const words = [
    'generate',
    'red apple',
    '--seed',
    '1',
    '--iterations',
    '2',
    '--steps',
    '2',
    '--adapter',
    'swiftshader',
  ];
  const before = fs.readdirSync(installed, { recursive: true }).length;
  run('npx', 'mmar', ...words, '-o', 'apple.png');
  execFileSync(process.execPath, ['cli/mmar.mjs', ...words, '-o', at('own.png')], { cwd: root, stdio: 'pipe' });
  assert.ok(fs.readFileSync(at('apple.png')).equals(fs.readFileSync(at('own.png'))));
  assert.is(fs.readdirSync(installed, { recursive: true }).length, before);
});

test("the README's program runs, and its types hold", () => {
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  const program = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].find(([, text]) => text.includes("from 'mmar'"))![1];
  write({
    'program.mjs': program.replace("'checkpoints/emoji'", "'node_modules/mmar/checkpoints/emoji'"),
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        module: 'esnext',
        moduleResolution: 'bundler',
        customConditions: ['node'],
        lib: ['es2023', 'dom', 'dom.asynciterable', 'esnext.disposable'],
        types: ['node'],
        strict: true,
        noEmit: true,
        allowJs: true,
        checkJs: true,
      },
      files: ['program.mjs'],
    }),
  });
  assert.match(run(process.execPath, 'program.mjs'), /red apple/);
  npm('install', '--save-dev', ...tools);
  assert.is(run('npx', 'tsc', '-p', '.'), '');
  fs.appendFileSync(at('program.mjs'), "\nmodel.generate({ prompt: 'red apple', seeds: 1 });\n");
  assert.throws(() => run('npx', 'tsc', '-p', '.'), /'?seeds'? does not exist/);
});

test('bundles for browsers with esbuild, worker included', () => {
  write({ 'page.js': page, 'worker.js': "import 'mmar/worker';\n", 'here.js': "export * from 'mmar';\n" });
  const bundle = ['--bundle', '--format=esm', '--outdir=bundled', '--log-level=error'];
  run('npx', 'esbuild', 'page.js', 'worker.js', 'here.js', ...bundle);
  for (const file of ['page.js', 'worker.js', 'here.js']) {
    const text = fs.readFileSync(at(`bundled/${file}`), 'utf8');
    assert.not.match(text, /from ?["'](node:|webgpu|sharp)/, file);
  }
  assert.match(fs.readFileSync(at('bundled/worker.js'), 'utf8'), /@compute/);
});

test('the Vite build draws in Chromium, in its worker', async () => {
  write({ 'index.html': '<!doctype html><title>…</title><script type="module" src="page.js"></script>' });
  run('npx', 'vite', 'build', '--outDir', 'built', '--logLevel', 'error');
  const browser = await launch('chromium');
  if (typeof browser === 'string') return console.log(`skipped: ${browser}`);
  const server = await serve({ '/checkpoint/': path.join(installed, 'checkpoints/emoji'), '/': at('built') });
  const tab = await browser.newPage(),
    errors: string[] = [];
  tab.on('pageerror', (error) => errors.push(String(error)));
  await tab.goto(`http://127.0.0.1:${(server.address() as { port: number }).port}/`);
  const until = Date.now() + 300_000;
  while (!(await tab.title()).startsWith('[') && !errors.length && Date.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 200));
  const title = await tab.title();
  await browser.close();
  server.closeAllConnections();
  server.close();
  assert.equal(errors, []);
  const pixels = JSON.parse(title) as number[],
    colour = [0, 1, 2].map((c) => pixels.filter((_, i) => i % 4 === c).reduce((a, b) => a + b, 0) / (64 * 64));
  assert.is(pixels.length, 64 * 64 * 4);
  assert.ok(colour[0] > colour[2] + 20, `an apple is red: ${colour}`);
});

test('without the optional package the error says how to get it', () => {
  fs.rmSync(at('node_modules/@sparticuz'), { recursive: true });
  const { status, stderr } = spawnSync('npx', ['mmar', 'generate', 'apple', '--adapter', 'swiftshader'], {
    cwd: app,
    encoding: 'utf8',
  });
  assert.is(status, 1);
  assert.match(stderr, /npm install @sparticuz\/chromium/);
});

test.run();
