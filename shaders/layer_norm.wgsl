// y = (x - mean) / sqrt(var + eps) [* weight + bias] [* (1 + scale) + shift], a row a workgroup.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
#if ${weight}
@group(0) @binding(${weight}) var<storage, read> weight: array<${w}x4>;
@group(0) @binding(${bias}) var<storage, read> bias: array<${w}x4>;
#endif
#if ${modulation}
@group(0) @binding(${modulation}) var<storage, read> modulation: array<${x}x4>;
#endif
@group(0) @binding(${out}) var<storage, read_write> y: array<${x}x4>;

struct Shape { rows: u32, row_quads: u32, cols: u32, eps: f32, pitch: u32, shift: u32, scale: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(${lane}) lane: u32) {
  let r = min(group.y * groups.x + group.x, shape.rows - 1u);
  let row = r * shape.row_quads;
  var s = vec4<f32>();
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    s += from_${x}(x[row + i]);
  }
  let mean = workgroup_sum((s.x + s.y) + (s.z + s.w), lane) / f32(shape.cols);
  var d = vec4<f32>();
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.cols);
    let v = select(vec4<f32>(), from_${x}(x[row + i]) - mean, inside);
    d += v * v;
  }
  let inverse = 1.0 / sqrt(workgroup_sum((d.x + d.y) + (d.z + d.w), lane) / f32(shape.cols) + shape.eps);
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.cols);
    var v = (from_${x}(x[row + i]) - mean) * inverse;
#if ${weight}
    v = v * from_${w}(weight[i]) + from_${w}(bias[i]);
#endif
#if ${modulation}
    let m = r * shape.pitch + i;
    v = v * (1.0 + from_${x}(modulation[m + shape.scale])) + from_${x}(modulation[m + shape.shift]);
#endif
    y[row + i] = to_${x}(select(vec4<f32>(), v, inside));
  }
}
