// y = scale * standard normal noise: element e is a function of (seed, stream, e) alone. Box-Muller on two words of Philox.
#include "lib/math.wgsl"
#include "lib/random.wgsl"
@group(0) @binding(0) var<storage, read> seed: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

struct Shape { rows: u32, cols: u32, row_quads: u32, stream: u32, scale: f32 }
@group(0) @binding(2) var<uniform> shape: Shape;

fn normal_pair(a: u32, b: u32) -> vec2<f32> {
  let u = f32((a >> 8u) + 1u) * 5.9604644775390625e-8; // (0, 1]
  let angle = f32(b >> 8u) * 5.9604644775390625e-8 * 6.2831853071795864; // [0, 2 pi)
  let sc = sin_cos_(angle);
  return sqrt(max(-2.0 * log_(u), 0.0)) * vec2<f32>(sc.y, sc.x);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 32u + lane;
  if (i >= shape.rows * shape.row_quads) {
    return;
  }
  let bits = philox(vec4<u32>(i, shape.stream, 0u, 0u), vec2<u32>(seed[0], seed[1]));
  let v = vec4<f32>(normal_pair(bits.x, bits.y), normal_pair(bits.z, bits.w)) * shape.scale;
  let inside = vec4<u32>(4u * (i % shape.row_quads)) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.cols);
  y[i] = select(vec4<f32>(), v, inside);
}
