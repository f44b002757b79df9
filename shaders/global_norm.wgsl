// parts[first + group] = Σ x² over a chunk of x: each thread sums every ${lanes}th quad, a tree the threads' sums.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> x: array<f32x4>;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;

struct Shape { quads: u32, chunk: u32, chunks: u32, first: u32, padded: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(${lane}) lane: u32) {
  let n = group.y * groups.x + group.x;
  var v = vec4<f32>();
  let end = min((n + 1u) * shape.chunk, shape.quads);
  for (var i = n * shape.chunk + lane; i < end; i += ${lanes}u) {
    v += x[i] * x[i];
  }
  let sum = workgroup_sum((v.x + v.y) + (v.z + v.w), lane);
  if (lane == 0u && n < shape.chunks) {
    parts[shape.first + n] = sum;
  }
  // The last tensor's first workgroup clears what pads the vector of parts.
  if (lane == 0u && n == 0u) {
    for (var k = shape.first + shape.chunks; k < shape.padded; k++) {
      parts[k] = 0.0;
    }
  }
}
