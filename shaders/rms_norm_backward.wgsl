// dx = s (g - x̂ mean(g x̂)) with s = 1 / sqrt(mean(x²) + eps), x̂ = s x, g = weight dy, a row a workgroup; dy x̂, whose sum
// over the rows is the weight's gradient, where it is asked for.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> weight: array<${w}x4>;
@group(0) @binding(2) var<storage, read> dy: array<${x}x4>;
@group(0) @binding(3) var<storage, read_write> dx: array<${x}x4>;
#if ${learns}
@group(0) @binding(4) var<storage, read_write> dweight: array<f32x4>; // [rows, hidden]
#endif

struct Shape { rows: u32, row_quads: u32, cols: f32, eps: f32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(${lane}) lane: u32) {
  let row = min(group.y * groups.x + group.x, shape.rows - 1u) * shape.row_quads;
  var squares = vec4<f32>();
  var along = vec4<f32>();
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    let v = from_${x}(x[row + i]);
    squares += v * v;
    along += v * (from_${w}(weight[i]) * from_${x}(dy[row + i]));
  }
  let sum = workgroup_sum((squares.x + squares.y) + (squares.z + squares.w), lane);
  let scale = 1.0 / sqrt(sum / shape.cols + shape.eps);
  let mean = workgroup_sum((along.x + along.y) + (along.z + along.w), lane) * scale / shape.cols;
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    let n = from_${x}(x[row + i]) * scale;
    let d = from_${x}(dy[row + i]);
    dx[row + i] = to_${x}((from_${w}(weight[i]) * d - n * mean) * scale);
#if ${learns}
    dweight[row + i] = d * n;
#endif
  }
}
