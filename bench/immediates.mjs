// node bench/immediates.mjs [--adapter NAME]: what a dispatch costs whose parameters lie in a uniform block of its bind group, as the
// engine has them, and one whose parameters come as immediates. In turns; the kernel does next to nothing.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNode } from '../esbuild.config.mjs';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const { values } = parseArgs({ options: { adapter: { type: 'string' } } });
await buildNode(['platform/node_gpu.ts', 'bench/measure.ts'], 'dist');
const { nodeAdapter } = await import(new URL('../dist/platform/node_gpu.mjs', import.meta.url)),
  { median } = await import(new URL('../dist/bench/measure.mjs', import.meta.url));
const { name, adapter } = await nodeAdapter(values.adapter);
const most = adapter.limits.maxImmediateSize ?? 0;
if (!most) {
  console.error(`${name} has no immediates`);
  process.exit(1);
}
const device = await adapter.requestDevice({ requiredLimits: { maxImmediateSize: most } });

const dispatches = 1000,
  slot = 256,
  words = 8;
const buffer = (size, usage) => device.createBuffer({ size, usage: usage | GPUBufferUsage.COPY_DST });
const y = buffer(4 * 64, GPUBufferUsage.STORAGE),
  uniforms = buffer(dispatches * slot, GPUBufferUsage.UNIFORM);

const pipelineOf = (parameters) =>
  device.createComputePipeline({
    layout: 'auto',
    compute: {
      module: device.createShaderModule({
        code: `requires immediate_address_space;
struct Shape { a: vec4<u32>, b: vec4<u32> }
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
${parameters} shape: Shape;
@compute @workgroup_size(8) fn main(@builtin(local_invocation_index) lane: u32) { y[lane] = shape.a.x + shape.b.w; }`,
      }),
    },
  });

const byUniform = pipelineOf('@group(0) @binding(1) var<uniform>'),
  byImmediate = pipelineOf('var<immediate>');
const entries = [{ binding: 0, resource: { buffer: y } }];
const groups = Array.from({ length: dispatches }, (_, i) =>
  device.createBindGroup({
    layout: byUniform.getBindGroupLayout(0),
    entries: [...entries, { binding: 1, resource: { buffer: uniforms, offset: i * slot, size: 4 * words } }],
  }),
);
const shared = device.createBindGroup({ layout: byImmediate.getBindGroupLayout(0), entries });
const parameters = Array.from({ length: dispatches }, (_, i) => new Uint32Array(words).fill(i));

/** Microseconds a dispatch, recording it counted in. */
async function time(pipeline, bind) {
  const start = performance.now(),
    encoder = device.createCommandEncoder(),
    pass = encoder.beginComputePass();
  for (let i = 0; i < dispatches; i++) {
    pass.setPipeline(pipeline);
    bind(pass, i);
    pass.dispatchWorkgroups(1);
  }
  pass.end();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  return (1000 * (performance.now() - start)) / dispatches;
}

const took = { uniform: [], immediates: [] };
for (let round = 0; round < 21; round++) {
  took.uniform.push(await time(byUniform, (pass, i) => pass.setBindGroup(0, groups[i])));
  took.immediates.push(
    await time(byImmediate, (pass, i) => {
      pass.setBindGroup(0, shared);
      pass.setImmediates(0, parameters[i]);
    }),
  );
}
console.log(`${name}: at most ${most} bytes; µs a dispatch, medians of ${took.uniform.length} turns:`);
for (const [kind, all] of Object.entries(took)) console.log(`${kind.padEnd(10)} ${median(all).toFixed(2)}`);
process.exit(0);
