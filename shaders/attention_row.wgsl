// y = softmax(q kᵀ / sqrt(d) + mask) v for few queries or wide heads, a workgroup a query: 32 keys at a time, first a
// thread a key for the scores, then a thread a quad of the head for the sum.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/attention_operands.wgsl"

var<workgroup> query: array<vec4<f32>, ${d}>;
var<workgroup> acc: array<vec4<f32>, ${d}>;
var<workgroup> score: array<f32, 32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = group.x;
  let head = group.y;
  let b = group.z;
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  let seen = past + select(shape.together, i + 1u, shape.causal == 1u);
  let base = (b * shape.count + i) * shape.q_pitch + shape.q_first + head * ${d}u;
  let kv = (b + shape.branch) * shape.capacity;
  let kv_head = (head / shape.group_size) * ${d}u;
  for (var d = lane; d < ${d}u; d += 32u) {
    query[d] = from_${x}(q[base + d]);
    acc[d] = vec4<f32>();
  }
  workgroupBarrier();
  var m = -3.0e38;
  var sum = 0.0;
  for (var j = 0u; j < seen; j += 32u) {
    let row = (kv + min(j + lane, seen - 1u)) * shape.k_pitch + kv_head + shape.k_first;
    var s = 0.0;
    for (var d = 0u; d < shape.quads; d++) { // ${d}, but unrolled it compiles for many seconds on some
      let a = query[d];
      let b = from_${x}(k[row + d]);
      s += a.x * b.x;
      s += a.y * b.y;
      s += a.z * b.z;
      s += a.w * b.w;
    }
    score[lane] = clamp(s * shape.scale, -2.9e38, 2.9e38);
    workgroupBarrier();
    let keys = min(32u, seen - j);
    var higher = m;
    for (var n = 0u; n < keys; n++) {
      higher = max(higher, score[n]);
    }
    let e = ${exp}(score[lane] - higher);
    workgroupBarrier();
    score[lane] = e;
    workgroupBarrier();
    let keep = ${exp}(m - higher);
    sum *= keep;
    for (var n = 0u; n < keys; n++) {
      sum += score[n];
    }
    m = higher;
    for (var d = lane; d < ${d}u; d += 32u) {
      var o = acc[d] * keep;
      for (var n = 0u; n < keys; n++) {
        o += score[n] * from_${x}(v[(kv + j + n) * shape.k_pitch + kv_head + shape.v_first + d]);
      }
      acc[d] = o;
    }
    workgroupBarrier();
  }
  let to = (b * shape.count + i) * shape.y_pitch + head * ${d}u;
  for (var d = lane; d < ${d}u; d += 32u) {
    y[to + d] = to_${x}(acc[d] / sum);
  }
#if ${terms}
  if (lane == 0u) {
    row_terms[(b * shape.count + i) * shape.terms_pitch + 2u * head] = m + log_(sum);
  }
#endif
}
