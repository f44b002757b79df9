// A kernel of one's own in a program with others: y = softplus(W x), W from noise. Run it after `npm run build`.
import { closeGPU, openDevice } from 'mmar';
import { elementwise, library, linear, normalNoise, packRows } from 'mmar/engine';

const source = {
  file: 'softplus.wgsl',
  includes: library,
  text: `// y = log(1 + e^x), for any size of x.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> x: array<\${x}x4>;
@group(0) @binding(1) var<storage, read_write> y: array<\${x}x4>;
struct Shape { elements: u32, each: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

fn element(i: u32) {
  let e = vec4<f32>(1.0) + exp4_(min(from_\${x}(x[i]), vec4<f32>(60.0)));
  y[i] = to_\${x}(vec4<f32>(log_(e.x), log_(e.y), log_(e.z), log_(e.w)));
}
#include "lib/elements.wgsl"`,
};

function softplus(p, x) {
  const y = p.tensor('softplus', x.type, x.shape);
  const launch = elementwise(p, (x.rows * x.pitch) / 4, { x: x.type });
  p.operation({ name: 'softplus', source, read: [x], write: [y], ...launch });
  return y;
}

const device = await openDevice({ adapter: process.env.MMAR_ADAPTER });
const seed = device.tensor('seed', 'u32', [2]);
const weight = device.tensor('weight', 'f32', [4, 8]);
const x = device.tensor('x', 'f32', [1, 8]);
device.write(seed, packRows('u32', 2, [1, 0]));
device.write(x, packRows('f32', 8, [1, 2, 3, 4, 5, 6, 7, 8]));
const result = await device.evaluate('example', (p) => {
  normalNoise(p, seed, 0, weight);
  const product = linear(p, x, { weight });
  return { product, softplus: softplus(p, product) };
});
console.log(JSON.stringify({ product: [...result.product], softplus: [...result.softplus] }));
device.destroy();
closeGPU();
