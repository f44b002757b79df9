// `node tests/large/planted.mjs`: builds and runs planted.ts. MMAR_ROUNDS: how many rounds; MMAR_ADAPTER: the adapter.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode } from '../../esbuild.config.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
await buildNode(['tests/large/planted.ts'], path.join(root, 'dist'), { absWorkingDir: root });
const { status } = spawnSync(process.execPath, ['dist/tests/large/planted.mjs'], { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
