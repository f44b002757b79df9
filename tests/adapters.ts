// Prints, as JSON, the adapters that tests run on: all software ones that the project supports, and hardware if any.
import { closeGPU, nodeAdapters } from '../platform/node_gpu.ts';

const found = await nodeAdapters();
const wanted = { swiftshader: /swiftshader/i, lavapipe: /llvmpipe/i };
const rows = Object.entries(wanted).map(([name, pattern]) => {
  const adapter = found.find((a) => pattern.test(a.name));
  return adapter
    ? { name, description: adapter.name }
    : {
        name,
        missing: name === 'lavapipe' ? "Debian's mesa-vulkan-drivers 25 or later brings it" : 'npm ci brings it',
      };
});
const hardware = found.find((a) => a.description.kind === 'hardware');
if (hardware) rows.push({ name: 'hardware', description: hardware.name });
console.log(JSON.stringify(rows));
closeGPU();
process.exit(0);
