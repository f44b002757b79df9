// npm run bench:train -- [--adapter NAME] [--precision bf16|f32] [--rounds N] [--profile] [--json]: a training step of the
// carried model beside the same step in PyTorch, where --python (/usr/bin/python3) has it, in turns on the same cores.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
await buildNode(['bench/train.ts'], path.join(root, 'dist'), { absWorkingDir: root });
await import('../dist/bench/train.mjs');
