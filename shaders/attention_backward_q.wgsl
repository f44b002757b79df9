// dq = Σ_j p_j (dy · v_j - y · dy) k_j / sqrt(d) over the keys that a query sees, p_j from the log-sum-exp that the forward pass
// kept, so that no L×L matrix is held: a thread a query.
#if ${subgroup}
enable subgroups;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/attention_backward_operands.wgsl"
@group(0) @binding(6) var<storage, read_write> dq: array<${x}x4>;
@group(0) @binding(7) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
#include "lib/attention_main.wgsl"
  let head = group.y;
  let b = group.z;
  let first = group.x * ${lanes}u;
  let i = first + lane;
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  let most = past + select(shape.count, min(first + ${lanes}u, shape.count), shape.causal == 1u);
  let seen = past + select(shape.count, i + 1u, shape.causal == 1u);
  let row = b * shape.count + min(i, shape.count - 1u);
  let base = row * shape.q_pitch + shape.q_first + head * ${d}u;
  let out = row * shape.y_pitch + head * ${d}u;
  let all = row_terms[row * shape.terms_pitch + 2u * head];
  let along = row_terms[row * shape.terms_pitch + 2u * head + 1u];
  let kv = (b + shape.branch) * shape.capacity;
  let kv_head = (head / shape.group_size) * ${d}u;
#for d in ${d}
  let q#d = from_${x}(q[base + #du]);
  let g#d = from_${x}(dy[out + #du]);
  var s#d = vec4<f32>();
#endfor
  for (var j = 0u; j < most; j++) {
    let at = (kv + j) * shape.k_pitch + kv_head;
#if ${subgroup}
    let k_quads = array<${x}x4, ${loads}>(
#for h in ${loads}
      k[at + shape.k_first + mine#h],
#endfor
    );
    let v_quads = array<${x}x4, ${loads}>(
#for h in ${loads}
      v[at + shape.v_first + mine#h],
#endfor
    );
#endif
    var score = 0.0;
    var dp = 0.0;
#for d in ${d}
#if ${subgroup}
    let k#d = from_${x}(subgroupBroadcast(k_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
    let k#d = from_${x}(k[at + shape.k_first + #du]);
#endif
    {
#if ${subgroup}
      let t = from_${x}(subgroupBroadcast(v_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
      let t = from_${x}(v[at + shape.v_first + #du]);
#endif
      score += q#d.x * k#d.x;
      score += q#d.y * k#d.y;
      score += q#d.z * k#d.z;
      score += q#d.w * k#d.w;
      dp += g#d.x * t.x;
      dp += g#d.y * t.y;
      dp += g#d.z * t.z;
      dp += g#d.w * t.w;
    }
#endfor
    let ds = select(0.0, share(score, all) * (dp - along), j < seen);
#for d in ${d}
    s#d += ds * k#d;
#endfor
  }
  if (i < shape.count) {
    let to = row * shape.dq_pitch + head * ${d}u;
#for d in ${d}
    dq[to + #du] = to_${x}(s#d * shape.scale);
#endfor
  }
}
