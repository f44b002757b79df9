// y = act((x - mean) * inverse * weight + bias) with the statistics of each channel's group.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<${w}x4>;
@group(0) @binding(3) var<storage, read> bias: array<${w}x4>;
@group(0) @binding(4) var<storage, read_write> y: array<${x}x4>;

struct Shape { elements: u32, each: u32, row_quads: u32, group_size: u32, groups: u32 }
@group(0) @binding(5) var<uniform> shape: Shape;

fn element(i: u32) {
  let quad = i % shape.row_quads;
  let g = min((vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u)) / shape.group_size, vec4<u32>(shape.groups - 1u));
  let a = stats[g.x];
  let b = stats[g.y];
  let c = stats[g.z];
  let d = stats[g.w];
  let v = (from_${x}(x[i]) - vec4<f32>(a.x, b.x, c.x, d.x)) * vec4<f32>(a.y, b.y, c.y, d.y);
  y[i] = to_${x}(${act}(v * from_${w}(weight[quad]) + from_${w}(bias[quad])));
}
#include "lib/elements.wgsl"
