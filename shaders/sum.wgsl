// y = ${f}(Σ x): all of a vector, by one workgroup; each thread sums every ${lanes}th quad, a tree the threads' sums.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> x: array<f32x4>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

struct Shape { quads: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
fn main(@builtin(${lane}) lane: u32) {
  var v = vec4<f32>();
  for (var i = lane; i < shape.quads; i += ${lanes}u) {
    v += x[i];
  }
  let sum = workgroup_sum((v.x + v.y) + (v.z + v.w), lane);
  if (lane < 4u) {
    y[lane] = select(0.0, ${f}(sum), lane == 0u); // three are padding
  }
}
