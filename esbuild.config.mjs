// Builds everything there is: `node esbuild.config.mjs` the packages for Node and browsers; the functions below what the
// command line, the tests and the benchmarks need while one works on the sources.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(fileURLToPath(import.meta.url));

/** A `.wgsl` file becomes a module: its text, its place in the repository and what it includes (engine/preprocessor.ts). */
export const wgsl = {
  name: 'wgsl',
  setup(build) {
    // It is published as a module that Node cannot find by name, so it is bundled always.
    const preprocessor = path.join(root, 'node_modules/wgsl-preprocessor/wgsl-preprocessor.js');
    build.onResolve({ filter: /^wgsl-preprocessor$/ }, () => ({ path: preprocessor }));
    build.onLoad({ filter: /\.wgsl$/ }, ({ path: file }) => {
      const text = fs.readFileSync(file, 'utf8'),
        names = [...text.matchAll(/^#include "(.+)"/gm)].map(([, name]) => name);
      const imports = names.map((name, i) => `import i${i} from ${JSON.stringify(`./${name}`)};\n`),
        includes = names.map((name, i) => `${JSON.stringify(name)}: i${i}`);
      const place = JSON.stringify(path.relative(root, file).replaceAll('\\', '/'));
      const contents = `${imports.join('')}export default { file: ${place}, text: ${JSON.stringify(text)}, includes: { ${includes} } };\n`;
      return { contents, loader: 'js', resolveDir: path.dirname(file) };
    });
  },
};

const common = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  plugins: [wgsl],
  logLevel: 'warning',
  sourcemap: 'linked',
};

/** Bundles entry points for Node; packages from npm stay imports. */
export const buildNode = (entryPoints, outdir, more = {}) =>
  build({
    ...common,
    entryPoints,
    outdir,
    outbase: '.',
    platform: 'node',
    packages: 'external',
    outExtension: { '.js': '.mjs' },
    ...more,
  });

/** Bundles entry points for browsers, with all they need. */
export const buildBrowser = (entryPoints, outdir, more = {}) =>
  build({ ...common, entryPoints, outdir, platform: 'browser', minify: true, ...more });

/** What browsers get: the package's entry, its worker, the client alone, and the page around them. */
export async function buildWeb(outdir, more = {}) {
  const result = await buildBrowser(
    {
      mmar: 'browser.ts',
      engine: 'engine.ts',
      worker: 'web/worker.ts',
      client: 'web/client.ts',
      page: 'web/page.ts',
      'bench-worker': 'web/bench_worker.ts',
    },
    outdir,
    { absWorkingDir: root, ...more },
  );
  for (const file of ['index.html', 'style.css'])
    fs.copyFileSync(path.join(root, 'web', file), path.join(root, outdir, file));
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildNode(['cli/main.ts'], 'dist');
