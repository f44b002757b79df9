import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode } from '../../esbuild.config.mjs';

/** Builds `NAME.ts` of this folder and runs it with this process's options, in its place. */
export async function runBuilt(name) {
  const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
  await buildNode([`tests/large/${name}.ts`], path.join(root, 'dist'), { absWorkingDir: root });
  const { status } = spawnSync(process.execPath, [`dist/tests/large/${name}.mjs`, ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}
