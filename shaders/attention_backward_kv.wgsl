// dv = Σ p dy and dk = Σ p (dy · v - y · dy) q / sqrt(d) over the queries that see a key, of all heads that share it: a thread
// a key or, on CPUs, `several` (as in attention_backward_q.wgsl). Keys that none sees get zeros.
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
  let first = group.x * ${lanes}u * ${each}u;
  let branch = group.z; // of all in the cache
  let b = branch - shape.branch;
  let past = select(0u, position[branch], shape.cached == 1u);
#if ${several}
  var held: array<${x}x4, 2 * ${each} * ${d}>;
  for (var n = 0u; n < ${each}u * ${d}u; n++) {
    let row = branch * shape.capacity + min(first + n / ${d}u * ${lanes}u + lane, shape.capacity - 1u);
    let at = row * shape.k_pitch + kv_head * ${d}u + n % ${d}u;
    held[2u * n] = k[at + shape.k_first];
    held[2u * n + 1u] = v[at + shape.v_first];
  }
#endif
#for j in ${each}
  let j#j = first + #ju * ${lanes}u + lane;
  let row#j = branch * shape.capacity + min(j#j, shape.capacity - 1u);
  let at#j = row#j * shape.k_pitch + kv_head * ${d}u;
#for d in ${d}
#if ${several}
  let k#j_#d = from_${x}(held[2u * (#ju * ${d}u + #du)]);
  let v#j_#d = from_${x}(held[2u * (#ju * ${d}u + #du) + 1u]);
#else
  let k#j_#d = from_${x}(k[at#j + shape.k_first + #du]);
  let v#j_#d = from_${x}(v[at#j + shape.v_first + #du]);
#endif
  var s#j_#d = vec4<f32>();
  var t#j_#d = vec4<f32>();
#endfor
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
#for j in ${each}
      var score#j = 0.0;
      var dp#j = 0.0;
#endfor
#for d in ${d}
#if ${subgroup}
      let q#d = from_${x}(subgroupBroadcast(q_quads[#du / ${subgroup}u], #du % ${subgroup}u));
      let g#d = from_${x}(subgroupBroadcast(dy_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
      let q#d = from_${x}(q[base + #du]);
      let g#d = from_${x}(dy[out + #du]);
#endif
#for j in ${each}
      score#j += q#d.x * k#j_#d.x;
      score#j += q#d.y * k#j_#d.y;
      score#j += q#d.z * k#j_#d.z;
      score#j += q#d.w * k#j_#d.w;
      dp#j += g#d.x * v#j_#d.x;
      dp#j += g#d.y * v#j_#d.y;
      dp#j += g#d.z * v#j_#d.z;
      dp#j += g#d.w * v#j_#d.w;
#endfor
#endfor
      let all = row_terms[terms];
      let along = row_terms[terms + 1u];
#for j in ${each}
      let seen#j = j#j < past + select(shape.count, i + 1u, causal);
      let p#j = select(0.0, share(score#j, all), seen#j);
      let ds#j = select(0.0, p#j * (dp#j - along), seen#j);
#for d in ${d}
      s#j_#d += ds#j * q#d;
      t#j_#d += p#j * g#d;
#endfor
#endfor
    }
  }
#if ${several}
  var sums = array<vec4<f32>, 2 * ${each} * ${d}>(
#for j in ${each}
#for d in ${d}
    s#j_#d * shape.scale,
    t#j_#d,
#endfor
#endfor
  );
  for (var n = 0u; n < ${each}u * ${d}u; n++) {
    let j = first + n / ${d}u * ${lanes}u + lane;
    if (j < shape.capacity) {
      let to = (branch * shape.capacity + j) * shape.dk_pitch + kv_head * ${d}u + n % ${d}u;
      dk[to + shape.dk_first] = to_${g}(sums[2u * n]);
#if ${apart}
      dv[to + shape.dv_first] = to_${g}(sums[2u * n + 1u]);
#else
      dk[to + shape.dv_first] = to_${g}(sums[2u * n + 1u]);
#endif
    }
  }
#else
#for j in ${each}
  if (j#j < shape.capacity) {
    let to = row#j * shape.dk_pitch + kv_head * ${d}u;
#for d in ${d}
    dk[to + shape.dk_first + #du] = to_${g}(s#j_#d * shape.scale);
#if ${apart}
    dv[to + shape.dv_first + #du] = to_${g}(t#j_#d);
#else
    dk[to + shape.dv_first + #du] = to_${g}(t#j_#d);
#endif
#endfor
  }
#endfor
#endif
}
