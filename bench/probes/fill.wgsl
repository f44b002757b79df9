// y = deviation × noise, evenly spread and of standard deviation 1, or the same constant everywhere where the deviation is 0:
// an element is a function of the seed and of its place alone. Padding is zero.
#include "../../shaders/lib/types.wgsl"
@group(0) @binding(0) var<storage, read_write> y: array<${y}x4>;

struct Shape { rows: u32, cols: u32, row_quads: u32, seed: u32, deviation: f32, middle: f32 }
@group(0) @binding(1) var<uniform> shape: Shape;

fn mix(seed: u32) -> u32 {
  var x = seed;
  x = (x ^ (x >> 16u)) * 0x21f0aaadu;
  x = (x ^ (x >> 15u)) * 0x735a2d97u;
  return x ^ (x >> 15u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= shape.rows * shape.row_quads) {
    return;
  }
  let a = mix(2u * i * 0x9e3779b9u + shape.seed);
  let b = mix((2u * i + 1u) * 0x9e3779b9u + shape.seed);
  let bits = vec4<u32>(a & 0xffffu, a >> 16u, b & 0xffffu, b >> 16u);
  let v = (vec4<f32>(bits) * 5.28548e-5 - 1.7320244) * shape.deviation + shape.middle; // √12 / 2^16, half its range
  let inside = vec4<u32>(4u * (i % shape.row_quads)) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.cols);
  y[i] = to_${y}(select(vec4<f32>(), v, inside));
}
