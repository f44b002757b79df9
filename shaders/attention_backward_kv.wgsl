// dv = Σ p dy and dk = Σ p (dy · v - y · dy) q / sqrt(d) over the queries that see a key, of all heads that share it: a thread
// a key. Keys that none sees get zeros.
#if ${subgroup}
enable subgroups;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/attention_backward_operands.wgsl"
@group(0) @binding(6) var<storage, read_write> dk: array<${g}x4>;
#if ${apart}
@group(0) @binding(7) var<storage, read_write> dv: array<${g}x4>;
#endif
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

@compute @workgroup_size(${lanes})
#include "lib/attention_main.wgsl"
  let kv_head = group.y;
  let first = group.x * ${lanes}u;
  let j = first + lane;
  let branch = group.z; // of all in the cache
  let b = branch - shape.branch;
  let past = select(0u, position[branch], shape.cached == 1u);
  let row = branch * shape.capacity + min(j, shape.capacity - 1u);
  let at = row * shape.k_pitch + kv_head * ${d}u;
#for d in ${d}
  let k#d = from_${x}(k[at + shape.k_first + #du]);
  let v#d = from_${x}(v[at + shape.v_first + #du]);
  var s#d = vec4<f32>();
  var t#d = vec4<f32>();
#endfor
  // The first query that sees a key of this workgroup; none where all are past the last, or of other branches.
  let causal = shape.causal == 1u;
  let none = b >= shape.branches || first >= past + shape.count;
  let begin = select(select(0u, max(first, past) - past, causal), shape.count, none);
  for (var head = kv_head * shape.group_size; head < (kv_head + 1u) * shape.group_size; head++) {
    for (var i = begin; i < shape.count; i++) {
      let asked = b * shape.count + i;
      let base = asked * shape.q_pitch + shape.q_first + head * ${d}u;
      let out = asked * shape.y_pitch + head * ${d}u;
      let terms = asked * shape.terms_pitch + 2u * head;
#if ${subgroup}
      let q_quads = array<${x}x4, ${loads}>(
#for h in ${loads}
        q[base + mine#h],
#endfor
      );
      let dy_quads = array<${x}x4, ${loads}>(
#for h in ${loads}
        dy[out + mine#h],
#endfor
      );
#endif
      var score = 0.0;
      var dp = 0.0;
#for d in ${d}
#if ${subgroup}
      let q#d = from_${x}(subgroupBroadcast(q_quads[#du / ${subgroup}u], #du % ${subgroup}u));
      let g#d = from_${x}(subgroupBroadcast(dy_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
      let q#d = from_${x}(q[base + #du]);
      let g#d = from_${x}(dy[out + #du]);
#endif
      score += q#d.x * k#d.x;
      score += q#d.y * k#d.y;
      score += q#d.z * k#d.z;
      score += q#d.w * k#d.w;
      dp += g#d.x * v#d.x;
      dp += g#d.y * v#d.y;
      dp += g#d.z * v#d.z;
      dp += g#d.w * v#d.w;
#endfor
      let seen = j < past + select(shape.count, i + 1u, causal);
      let p = select(0.0, share(score, row_terms[terms]), seen);
      let ds = select(0.0, p * (dp - row_terms[terms + 1u]), seen);
#for d in ${d}
      s#d += ds * q#d;
      t#d += p * g#d;
#endfor
    }
  }
  if (j < shape.capacity) {
    let to = row * shape.dk_pitch + kv_head * ${d}u;
#for d in ${d}
    dk[to + shape.dk_first + #du] = to_${g}(s#d * shape.scale);
#if ${apart}
    dv[to + shape.dv_first + #du] = to_${g}(t#d);
#else
    dk[to + shape.dv_first + #du] = to_${g}(t#d);
#endif
#endfor
  }
}
