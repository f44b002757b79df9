// npm run bench:draw -- [--adapter NAME] [--precision bf16|f32] [--rounds N] [--json]: a picture of the carried model beside the
// same picture in PyTorch, where --python (/usr/bin/python3) has it, in turns on the same cores.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
await buildNode(['bench/draw.ts'], path.join(root, 'dist'), { absWorkingDir: root });
await import('../dist/bench/draw.mjs');
