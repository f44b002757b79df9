// y = softmax(q kᵀ / sqrt(d) + mask) v for few queries or wide heads, a workgroup a query: 32 keys at a time, first a
// thread a key for the scores, then a thread a quad of the head for the sum. With `chunk` a workgroup takes so many keys, and
// attention_merge.wgsl adds up what it leaves.
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
#if ${chunk}
  let b = group.z / shape.chunks;
  let begin = group.z % shape.chunks * ${chunk}u;
#else
  let b = group.z;
  let begin = 0u;
#endif
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  let all = past + select(shape.together, i + 1u, shape.causal == 1u);
#if ${chunk}
  let seen = min(all, begin + ${chunk}u);
#else
  let seen = all;
#endif
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
  for (var j = begin; j < seen; j += 32u) {
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
#if ${chunk}
  let to = (((b * shape.count + i) * (shape.y_pitch / ${d}u) + head) * shape.chunks + group.z % shape.chunks) * (${d}u + 1u);
  for (var d = lane; d < ${d}u; d += 32u) {
    y[to + d] = acc[d];
  }
  if (lane == 0u) {
    y[to + ${d}u] = vec4<f32>(m, sum, 0.0, 0.0);
  }
#else
  let to = (b * shape.count + i) * shape.y_pitch + head * ${d}u;
  for (var d = lane; d < ${d}u; d += 32u) {
    y[to + d] = to_${x}(acc[d] / sum);
  }
#endif
#if ${terms}
  if (lane == 0u) {
    row_terms[(b * shape.count + i) * shape.terms_pitch + 2u * head] = m + log_(sum);
  }
#endif
}
