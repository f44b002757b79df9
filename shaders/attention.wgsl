// y = softmax(q kᵀ / sqrt(d) + mask) v, a thread a query: keys and values stream by in blocks of four with a running
// maximum and sum (online softmax), so no L×L matrix is ever held. All threads of a workgroup read the same keys. Sums are
// chains, one product after another: compilers feel free to reorder a tree of products.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/attention_operands.wgsl"

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = group.y;
  let b = group.z;
  let first = group.x * ${lanes}u;
  let i = first + lane;
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  // Masked AR (spec section 3.6): text sees what is before it, image tokens see each other too.
  let most = past + select(shape.count, min(first + ${lanes}u, shape.count), shape.causal == 1u);
  let seen = past + select(shape.count, i + 1u, shape.causal == 1u);
  let base = (b * shape.count + min(i, shape.count - 1u)) * shape.q_pitch + shape.q_first + head * ${d}u;
  let kv = (b + shape.branch) * shape.capacity;
  let kv_head = (head / shape.group_size) * ${d}u;
#for d in ${d}
  let q#d = from_${x}(q[base + #du]);
  var o#d = vec4<f32>();
#endfor
  var m = -3.0e38;
  var sum = 0.0;
  for (var j = 0u; j < most; j += 4u) {
#for n in 4
    let row#n = (kv + min(j + #nu, most - 1u)) * shape.k_pitch + kv_head;
    var dot#n = 0.0;
#for d in ${d}
    {
      let t = from_${x}(k[row#n + shape.k_first + #du]);
      dot#n += q#d.x * t.x;
      dot#n += q#d.y * t.y;
      dot#n += q#d.z * t.z;
      dot#n += q#d.w * t.w;
    }
#endfor
    let s#n = select(-3.0e38, clamp(dot#n * shape.scale, -2.9e38, 2.9e38), j + #nu < seen);
#endfor
    let higher = max(m, max(max(s0, s1), max(s2, s3)));
    let keep = exp_(m - higher);
    let e = select(vec4<f32>(), exp4_(vec4<f32>(s0, s1, s2, s3) - higher), vec4<u32>(j, j + 1u, j + 2u, j + 3u) < vec4<u32>(seen));
    sum = sum * keep + ((e.x + e.y) + (e.z + e.w));
    m = higher;
#for d in ${d}
    o#d *= keep;
    o#d += e.x * from_${x}(v[row0 + shape.v_first + #du]);
    o#d += e.y * from_${x}(v[row1 + shape.v_first + #du]);
    o#d += e.z * from_${x}(v[row2 + shape.v_first + #du]);
    o#d += e.w * from_${x}(v[row3 + shape.v_first + #du]);
#endfor
  }
  if (i < shape.count) {
    let to = (b * shape.count + i) * shape.y_pitch + head * ${d}u;
#for d in ${d}
    y[to + #du] = to_${x}(o#d / sum);
#endfor
  }
}
