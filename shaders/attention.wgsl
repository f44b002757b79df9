// y = softmax(q kᵀ / sqrt(d) + mask) v, a thread a query or `each`: keys and values stream by one after another with a running
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
  let first = group.x * ${lanes}u * ${each}u;
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  // Masked AR (spec section 3.6): text sees what is before it, image tokens see each other too.
  let most = past + select(shape.together, min(first + ${lanes}u * ${each}u, shape.count), shape.causal == 1u);
  let kv = (b + shape.branch) * shape.capacity;
  let kv_head = (head / shape.group_size) * ${d}u;
  // Queries come and sums go one by one: a CPU's compiler writes each such access out for every thread.
  var queries: array<${x}x4, ${each} * ${d}>;
  for (var i = 0u; i < ${each}u; i++) {
    let row = b * shape.count + min(first + i * ${lanes}u + lane, shape.count - 1u);
    let base = row * shape.q_pitch + shape.q_first + head * ${d}u;
    for (var d = 0u; d < shape.quads; d++) {
      queries[i * ${d}u + d] = q[base + d];
    }
  }
#for i in ${each}
  let i#i = first + #iu * ${lanes}u + lane;
  let seen#i = past + select(shape.together, i#i + 1u, shape.causal == 1u);
#for d in ${d}
  let q#i_#d = from_${x}(queries[#iu * ${d}u + #du]);
  var o#i_#d = vec4<f32>();
#endfor
  var m#i = -3.0e38;
  var sum#i = 0.0;
#endfor
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
#for i in ${each}
    var score#i = 0.0;
#endfor
#for d in ${d}
    {
#if ${subgroup}
      let t = from_${x}(subgroupBroadcast(k_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
      let t = from_${x}(k[row + shape.k_first + #du]);
#endif
#for i in ${each}
      score#i += q#i_#d.x * t.x;
      score#i += q#i_#d.y * t.y;
      score#i += q#i_#d.z * t.z;
      score#i += q#i_#d.w * t.w;
#endfor
    }
#endfor
#for i in ${each}
    score#i = select(-3.0e38, clamp(score#i * shape.scale, -2.9e38, 2.9e38), j < seen#i);
    let higher#i = max(m#i, score#i);
    let keep#i = exp_(m#i - higher#i);
    let e#i = select(0.0, exp_(score#i - higher#i), j < seen#i);
    m#i = higher#i;
    sum#i = sum#i * keep#i + e#i;
#endfor
#for d in ${d}
    {
#if ${subgroup}
      let t = from_${x}(subgroupBroadcast(v_quads[#du / ${subgroup}u], #du % ${subgroup}u));
#else
      let t = from_${x}(v[row + shape.v_first + #du]);
#endif
#for i in ${each}
      o#i_#d *= keep#i;
      o#i_#d += e#i * t;
#endfor
    }
#endfor
  }
  var sums = array<vec4<f32>, ${each} * ${d}>(
#for i in ${each}
#for d in ${d}
    o#i_#d / sum#i,
#endfor
#endfor
  );
  for (var i = 0u; i < ${each}u; i++) {
    let query = first + i * ${lanes}u + lane;
    if (query < shape.count) {
      let to = (b * shape.count + query) * shape.y_pitch + head * ${d}u;
      for (var d = 0u; d < shape.quads; d++) {
        y[to + d] = to_${x}(sums[i * ${d}u + d]);
      }
    }
  }
#if ${terms}
#for i in ${each}
  if (i#i < shape.count) {
    row_terms[(b * shape.count + i#i) * shape.terms_pitch + 2u * head] = m#i + log_(sum#i);
  }
#endfor
#endif
}
