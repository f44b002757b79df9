// dq = Σ_j p_j (dy · v_j - y · dy) k_j / sqrt(d) over the keys that a query sees, p_j from the log-sum-exp that the forward pass
// kept, so that no L×L matrix is held: a thread a query or, on CPUs, `several`. These read and write in loops, since a CPU's
// compiler writes each access out for every thread.
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
  let first = group.x * ${lanes}u * ${each}u;
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  let most = past + select(shape.count, min(first + ${lanes}u * ${each}u, shape.count), shape.causal == 1u);
  let kv = (b + shape.branch) * shape.capacity;
  let kv_head = (head / shape.group_size) * ${d}u;
#if ${several}
  var held: array<${x}x4, 2 * ${each} * ${d}>;
  for (var n = 0u; n < ${each}u * ${d}u; n++) {
    let row = b * shape.count + min(first + n / ${d}u * ${lanes}u + lane, shape.count - 1u);
    let at = head * ${d}u + n % ${d}u;
    held[2u * n] = q[row * shape.q_pitch + shape.q_first + at];
    held[2u * n + 1u] = dy[row * shape.y_pitch + at];
  }
#endif
#for i in ${each}
  let i#i = first + #iu * ${lanes}u + lane;
  let seen#i = past + select(shape.count, i#i + 1u, shape.causal == 1u);
  let row#i = b * shape.count + min(i#i, shape.count - 1u);
  let base#i = row#i * shape.q_pitch + shape.q_first + head * ${d}u;
  let out#i = row#i * shape.y_pitch + head * ${d}u;
  let all#i = row_terms[row#i * shape.terms_pitch + 2u * head];
  let along#i = row_terms[row#i * shape.terms_pitch + 2u * head + 1u];
#for d in ${d}
#if ${several}
  let q#i_#d = from_${x}(held[2u * (#iu * ${d}u + #du)]);
  let g#i_#d = from_${x}(held[2u * (#iu * ${d}u + #du) + 1u]);
#else
  let q#i_#d = from_${x}(q[base#i + #du]);
  let g#i_#d = from_${x}(dy[out#i + #du]);
#endif
  var s#i_#d = vec4<f32>();
#endfor
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
#for i in ${each}
    var score#i = 0.0;
    var dp#i = 0.0;
#endfor
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
#for i in ${each}
      score#i += q#i_#d.x * k#d.x;
      score#i += q#i_#d.y * k#d.y;
      score#i += q#i_#d.z * k#d.z;
      score#i += q#i_#d.w * k#d.w;
      dp#i += g#i_#d.x * t.x;
      dp#i += g#i_#d.y * t.y;
      dp#i += g#i_#d.z * t.z;
      dp#i += g#i_#d.w * t.w;
#endfor
    }
#endfor
#for i in ${each}
    let ds#i = select(0.0, share(score#i, all#i) * (dp#i - along#i), j < seen#i);
#for d in ${d}
    s#i_#d += ds#i * k#d;
#endfor
#endfor
  }
#if ${several}
  var sums = array<vec4<f32>, ${each} * ${d}>(
#for i in ${each}
#for d in ${d}
    s#i_#d,
#endfor
#endfor
  );
  for (var n = 0u; n < ${each}u * ${d}u; n++) {
    let i = first + n / ${d}u * ${lanes}u + lane;
    if (i < shape.count) {
      dq[(b * shape.count + i) * shape.dq_pitch + head * ${d}u + n % ${d}u] = to_${x}(sums[n] * shape.scale);
    }
  }
#else
#for i in ${each}
  if (i#i < shape.count) {
    let to = row#i * shape.dq_pitch + head * ${d}u;
#for d in ${d}
    dq[to + #du] = to_${x}(s#i_#d * shape.scale);
#endfor
  }
#endfor
#endif
}
