// y = scale * standard normal noise: element e is a function of (seed, stream, e) alone.
#include "lib/normal.wgsl"
@group(0) @binding(0) var<storage, read> seed: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

struct Shape { rows: u32, cols: u32, row_quads: u32, stream: u32, scale: f32 }
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 32u + lane;
  if (i >= shape.rows * shape.row_quads) {
    return;
  }
  let v = normals(vec4<u32>(i, shape.stream, 0u, 0u), vec2<u32>(seed[0], seed[1])) * shape.scale;
  let inside = vec4<u32>(4u * (i % shape.row_quads)) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.cols);
  y[i] = select(vec4<f32>(), v, inside);
}
