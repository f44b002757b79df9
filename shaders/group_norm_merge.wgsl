// mean and 1 / sqrt(var + eps) of each group of channels, from its parts' means and squared deviations: a group a workgroup.
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>; // mean, squared deviations, count
@group(0) @binding(1) var<storage, read_write> stats: array<vec4<f32>>;

struct Shape { parts: u32, groups: u32, eps: f32 }
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(${lane}) lane: u32) {
  var sum = 0.0;
  var count = 0.0;
  for (var i = lane; i < shape.parts; i += ${lanes}u) {
    let part = parts[i * shape.groups + group.x];
    sum += part.x * part.z;
    count += part.z;
  }
  let n = workgroup_sum(count, lane);
  let mean = workgroup_sum(sum, lane) / n;
  var squares = 0.0;
  for (var i = lane; i < shape.parts; i += ${lanes}u) {
    let part = parts[i * shape.groups + group.x];
    squares += part.y + part.z * (part.x - mean) * (part.x - mean);
  }
  let variance = workgroup_sum(squares, lane) / n;
  if (lane == 0u) {
    stats[group.x] = vec4<f32>(mean, 1.0 / sqrt(variance + shape.eps), 0.0, 0.0);
  }
}
