// y = softmax(q kᵀ / sqrt(d) + mask) v, a thread a query: keys and values stream by one after another with a running
// maximum and sum (online softmax), so no L×L matrix is ever held; blocks of keys compile for longer and run no faster. All
// threads of a workgroup want the same keys and values (gpu.ts, `sharing`). Sums are chains, one product after another:
// compilers feel free to reorder a tree of products.
#if ${subgroup}
enable subgroups;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/attention_operands.wgsl"

@compute @workgroup_size(${lanes})
#include "lib/attention_main.wgsl"
  let head = group.y;
  let b = group.z;
  let first = group.x * ${lanes}u;
  let i = first + lane;
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  // Masked AR (spec section 3.6): text sees what is before it, image tokens see each other too.
  let most = past + select(shape.together, min(first + ${lanes}u, shape.count), shape.causal == 1u);
  let seen = past + select(shape.together, i + 1u, shape.causal == 1u);
  let base = (b * shape.count + min(i, shape.count - 1u)) * shape.q_pitch + shape.q_first + head * ${d}u;
  let kv = (b + shape.branch) * shape.capacity;
  let kv_head = (head / shape.group_size) * ${d}u;
#for d in ${d}
  let q#d = from_${x}(q[base + #du]);
  var o#d = vec4<f32>();
#endfor
  var m = -3.0e38;
  var sum = 0.0;
  for (var j = 0u; j < most; j++) {
    let row = (kv + j) * shape.k_pitch + kv_head;
#if ${subgroup}
    let k_quads = array<${x}x4, ${loads}>(
#for h in ${loads}
      k[row + shape.k_first + mine#h],
#endfor
    );
    let v_quads = array<${x}x4, ${loads}>(
#for h in ${loads}
      v[row + shape.v_first + mine#h],
#endfor
    );
#endif
    var score = 0.0;
#for d in ${d}
    {
#if ${subgroup}
      let t = from_${x}(subgroupBroadcast(k_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
      let t = from_${x}(k[row + shape.k_first + #du]);
#endif
      score += q#d.x * t.x;
      score += q#d.y * t.y;
      score += q#d.z * t.z;
      score += q#d.w * t.w;
    }
#endfor
    score = select(-3.0e38, clamp(score * shape.scale, -2.9e38, 2.9e38), j < seen);
    let higher = max(m, score);
    let keep = exp_(m - higher);
    let e = select(0.0, exp_(score - higher), j < seen);
    m = higher;
    sum = sum * keep + e;
#for d in ${d}
    o#d *= keep;
#if ${subgroup}
    o#d += e * from_${x}(subgroupBroadcast(v_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
    o#d += e * from_${x}(v[row + shape.v_first + #du]);
#endif
#endfor
  }
  if (i < shape.count) {
    let to = (b * shape.count + i) * shape.y_pitch + head * ${d}u;
#for d in ${d}
    y[to + #du] = to_${x}(o#d / sum);
#endfor
#if ${terms}
    row_terms[(b * shape.count + i) * shape.terms_pitch + 2u * head] = m + log_(sum);
#endif
  }
}
