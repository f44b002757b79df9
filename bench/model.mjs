// node bench/model.mjs --model DIR [--adapter NAME] [--only load,prefill,decode,step,picture] [--set key=value] [--cold] [--profile]
// [--json]: loads a checkpoint and times what it does at its true size, with the peak memory of each.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNode } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
await buildNode(['bench/model.ts'], path.join(root, 'dist'), { absWorkingDir: root });
await import('../dist/bench/model.mjs');
