// mean and 1 / sqrt(var + eps) of each group of channels over the whole picture, a group a workgroup; or, in parts, mean and
// squared deviations from it of each group over some of the pixels, for group_norm_merge.wgsl.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read_write> stats: array<vec4<f32>>;

struct Shape { pixels: u32, row_quads: u32, group_size: u32, eps: f32, part: u32, groups: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(${lane}) lane: u32) {
  // A group may begin and end within a quad: take the quads that it touches, and of these its own channels.
  let first = group.x * shape.group_size;
  let end = first + shape.group_size;
  let first_quad = first / 4u;
  let quads = (end + 3u) / 4u - first_quad;
  let top = group.y * shape.part;
  let pixels = min(shape.part, shape.pixels - top);
  var s = vec4<f32>();
  for (var i = lane; i < pixels * quads; i += ${lanes}u) {
    let quad = first_quad + i % quads;
    let c = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    s += select(vec4<f32>(), from_${x}(x[(top + i / quads) * shape.row_quads + quad]), (c >= vec4<u32>(first)) & (c < vec4<u32>(end)));
  }
  let n = f32(pixels) * f32(shape.group_size);
  let mean = workgroup_sum((s.x + s.y) + (s.z + s.w), lane) / n;
  var d = vec4<f32>();
  for (var i = lane; i < pixels * quads; i += ${lanes}u) {
    let quad = first_quad + i % quads;
    let c = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    let v = from_${x}(x[(top + i / quads) * shape.row_quads + quad]) - mean;
    d += select(vec4<f32>(), v * v, (c >= vec4<u32>(first)) & (c < vec4<u32>(end)));
  }
  let squares = workgroup_sum((d.x + d.y) + (d.z + d.w), lane);
  if (lane == 0u) {
#if ${parts}
    stats[group.y * shape.groups + group.x] = vec4<f32>(mean, squares, n, 0.0);
#else
    stats[group.x] = vec4<f32>(mean, 1.0 / sqrt(squares / n + shape.eps), 0.0, 0.0);
#endif
  }
}
