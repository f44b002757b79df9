// The contest in Node, where `navigator.gpu` gives mmar's own adapter to all: in_node.mjs ADAPTER PACKAGES MxKxN…, run by run.mjs.
import { pathToFileURL } from 'node:url';
import { nodeAdapter } from '../../platform/node_gpu.ts';
import { contest } from './contest.mjs';

const [choice, packages, ...shapes] = process.argv.slice(2),
  { name } = await nodeAdapter(choice || undefined);
// An adapter gives one device; each library has a device of its own.
const gpu = {
  requestAdapter: async () => (await nodeAdapter(name)).adapter,
  getPreferredCanvasFormat: () => 'bgra8unorm',
  wgslLanguageFeatures: new Set(),
};
Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'Node' }, configurable: true });
const rows = await contest(
  shapes.map((text) => text.split('x').map(Number)),
  { folder: pathToFileURL(`${packages}/`).href, tell: (what) => console.error(what) },
);
console.log(JSON.stringify({ place: `Node ${process.versions.node} on ${name}`, rows }));
process.exit(0);
