// y = x / sqrt(mean(x²) + eps) * weight, a row a workgroup.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> weight: array<${w}x4>;
@group(0) @binding(2) var<storage, read_write> y: array<${x}x4>;

struct Shape { rows: u32, row_quads: u32, cols: f32, eps: f32 }
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(${lane}) lane: u32) {
  let row = min(group.y * groups.x + group.x, shape.rows - 1u) * shape.row_quads;
  var squares = vec4<f32>();
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    let v = from_${x}(x[row + i]);
    squares += v * v;
  }
  let sum = workgroup_sum((squares.x + squares.y) + (squares.z + squares.w), lane);
  let scale = 1.0 / sqrt(sum / shape.cols + shape.eps);
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    y[row + i] = to_${x}(from_${x}(x[row + i]) * scale * from_${w}(weight[i]));
  }
}
