// npm run test:large: makes MMAR-0.5B with random weights (about 2.3 GB) and checks its forward pass against plain f64.
// MMAR_LARGE: a checkpoint to take instead; it is kept. MMAR_ADAPTER: the adapter. MMAR_LAYERS: fewer layers of the LLM.
// MMAR_PART: EmbeddingViT, Diffusion MLP, image decoder or LLM alone.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode } from '../../esbuild.config.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
await buildNode(['tests/large/forward.ts'], path.join(root, 'dist'), { absWorkingDir: root });
const node = (...words) =>
  spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit', env: { ...process.env, MMAR_LARGE: folder } })
    .status;
const made = process.env.MMAR_LARGE ? undefined : fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-large-'));
const folder = process.env.MMAR_LARGE ?? path.join(made, 'mmar-0.5b');
try {
  const failed =
    (made ? node('cli/mmar.mjs', 'init', folder, '--config', 'mmar-0.5b', '--seed', '1') : 0) ||
    node('--enable-source-maps', 'dist/tests/large/forward.mjs');
  process.exitCode = failed ?? 1;
} finally {
  if (made) fs.rmSync(made, { recursive: true, force: true });
}
