// `node web/build.mjs`: what the package holds for browsers, and the types of both entries. With `--size` (`npm run size`) it
// prints what a page downloads, gzipped, and how much of that is the text tokenizer.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { buildBrowser, buildWeb } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
await buildWeb('dist/browser');

if (process.argv.includes('--size')) {
  const entries = { mmar: 'browser.ts', worker: 'web/worker.ts', client: 'web/client.ts', page: 'web/page.ts' };
  const { outputFiles } = await buildBrowser(entries, 'dist/size', {
    write: false,
    sourcemap: false,
    external: ['@huggingface/*'],
  });
  const gzip = (bytes) => zlib.gzipSync(bytes, { level: 9 }).length,
    kb = (n) => `${(n / 1000).toFixed(1)} kB`.padStart(10);
  console.log('gzipped            all   without the tokenizer');
  for (const name of Object.keys(entries)) {
    const whole = fs.readFileSync(`dist/browser/${name}.js`),
      without = outputFiles.find((file) => path.basename(file.path) === `${name}.js`).contents;
    console.log(`${`${name}.js`.padEnd(12)}${kb(gzip(whole))}${kb(gzip(without))}`);
  }
} else {
  fs.rmSync('dist/types', { recursive: true, force: true });
  const types = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], {
    stdio: 'inherit',
  });
  process.exitCode = types.status ?? 1;
}
