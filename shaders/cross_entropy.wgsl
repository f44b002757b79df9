// loss[r] = weight[r] (log Σ e^logit - logit[target]), a row a workgroup: each thread keeps the maximum and the sum of every
// ${lanes}th quad, one thread joins them in order. A negative target: no loss.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> logits: array<f32x4>;
@group(0) @binding(1) var<storage, read> goal: array<i32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> log_sum: array<f32>;

struct Shape { rows: u32, row_quads: u32, classes: u32, padded: u32 }
@group(0) @binding(5) var<uniform> shape: Shape;
var<workgroup> highest: array<f32, ${lanes}>;
var<workgroup> sums: array<f32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = min(group.y * groups.x + group.x, shape.rows - 1u);
  let quads = (shape.classes + 3u) / 4u;
  let base = r * shape.row_quads;
  var m = -3.0e38;
  var sum = 0.0;
  for (var i = lane; i < quads; i += ${lanes}u) {
    let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.classes);
    let v = select(vec4<f32>(-3.0e38), clamp(logits[base + i], vec4<f32>(-2.9e38), vec4<f32>(2.9e38)), inside);
    let higher = max(m, max(max(v.x, v.y), max(v.z, v.w)));
    let e = exp4_(v - vec4<f32>(higher));
    sum = sum * exp_(m - higher) + ((e.x + e.y) + (e.z + e.w));
    m = higher;
  }
  highest[lane] = m;
  sums[lane] = sum;
  workgroupBarrier();
  if (lane > 0u) {
    return;
  }
  for (var n = 1u; n < ${lanes}u; n++) {
    m = max(m, highest[n]);
  }
  sum = 0.0;
  for (var n = 0u; n < ${lanes}u; n++) {
    sum += sums[n] * exp_(highest[n] - m);
  }
  let all = m + log_(sum);
  log_sum[r] = all;
  let t = goal[r];
  let at = u32(max(t, 0));
  loss[r] = select(weight[r] * (all - logits[base + at / 4u][at % 4u]), 0.0, t < 0 || at >= shape.classes);
  // What pads the vector of losses is zero.
  if (r == shape.rows - 1u) {
    for (var n = shape.rows; n < shape.padded; n++) {
      loss[n] = 0.0;
    }
  }
}
