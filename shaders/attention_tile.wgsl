// y = softmax(q kᵀ / sqrt(d) + mask) v for many queries on a GPU: a workgroup takes some rows (queries × heads of one kv group)
// and 32 keys at a time, which it stages in workgroup memory for all of them; a thread computes tile_m rows × four keys' scores,
// then tile_m rows × tile_n quads of the result. The order of each sum is that of attention_row.wgsl.
#if ${subgroup}
enable subgroups;
enable subgroup_size_control;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/attention_operands.wgsl"

#if ${wide}
alias Staged = vec4<f32>;
fn stage(v: ${x}x4) -> Staged {
  return from_${x}(v);
}
fn staged(v: Staged) -> vec4<f32> {
  return v;
}
#else
alias Staged = ${x}x4;
fn stage(v: ${x}x4) -> Staged {
  return v;
}
fn staged(v: Staged) -> vec4<f32> {
  return from_${x}(v);
}
#endif

const rows = 8u * ${tile_m}u; // of a workgroup
const pitch = ${d}u + 1u; // from one row to the next of what is staged, so that rows do not meet in a bank
var<workgroup> q_tile: array<${x}x4, rows * pitch>;
var<workgroup> kv_tile: array<Staged, 32u * pitch>; // keys, then values
var<workgroup> weights: array<vec4<f32>, rows * 9u>; // scores, then what they weigh: [row][quad of keys]

#if ${subgroup}
@compute @workgroup_size(64) @subgroup_size(${subgroup})
#else
@compute @workgroup_size(64)
#endif
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let b = group.z;
  let past = select(0u, position[b + shape.branch], shape.cached == 1u);
  let first = group.x * rows;
  let all = shape.count * shape.group_size;
  let last = (min(first + rows, all) - 1u) / shape.group_size;
  let most = past + select(shape.together, last + 1u, shape.causal == 1u);
  let kv = (b + shape.branch) * shape.capacity;
  let kv_head = group.y * ${d}u;
  for (var n = lane; n < rows * shape.quads; n += 64u) {
    let r = min(first + n / ${d}u, all - 1u);
    let head = group.y * shape.group_size + r % shape.group_size;
    q_tile[n / ${d}u * pitch + n % ${d}u] = q[(b * shape.count + r / shape.group_size) * shape.q_pitch + shape.q_first + head * ${d}u + n % ${d}u];
  }
  let column = lane % 8u;
  let row = lane / 8u * ${tile_m}u;
#for i in ${tile_m}
  let seen#i = past + select(shape.together, min(first + row + #iu, all - 1u) / shape.group_size + 1u, shape.causal == 1u);
  var m#i = -3.0e38;
  var sum#i = 0.0;
#for n in ${tile_n}
  var o#i_#n = vec4<f32>();
#endfor
#endfor
  for (var j = 0u; j < most; j += 32u) {
    workgroupBarrier();
    for (var n = lane; n < 32u * shape.quads; n += 64u) {
      kv_tile[n / ${d}u * pitch + n % ${d}u] = stage(k[(kv + min(j + n / ${d}u, most - 1u)) * shape.k_pitch + kv_head + shape.k_first + n % ${d}u]);
    }
    workgroupBarrier();
#for i in ${tile_m}
#for n in 4
    var s#i_#n = 0.0;
#endfor
#endfor
    for (var d = 0u; d < ${d}u; d++) {
#for n in 4
      let k#n = staged(kv_tile[(4u * column + #nu) * pitch + d]);
#endfor
#for i in ${tile_m}
      {
        let a = from_${x}(q_tile[(row + #iu) * pitch + d]);
#for n in 4
        s#i_#n += a.x * k#n.x;
        s#i_#n += a.y * k#n.y;
        s#i_#n += a.z * k#n.z;
        s#i_#n += a.w * k#n.w;
#endfor
      }
#endfor
    }
#for i in ${tile_m}
#for n in 4
    s#i_#n = select(-3.0e38, clamp(s#i_#n * shape.scale, -2.9e38, 2.9e38), j + 4u * column + #nu < seen#i);
#endfor
    weights[(row + #iu) * 9u + column] = vec4<f32>(s#i_0, s#i_1, s#i_2, s#i_3);
#endfor
    workgroupBarrier();
    for (var n = lane; n < 32u * shape.quads; n += 64u) {
      kv_tile[n / ${d}u * pitch + n % ${d}u] = stage(v[(kv + min(j + n / ${d}u, most - 1u)) * shape.k_pitch + kv_head + shape.v_first + n % ${d}u]);
    }
#for i in ${tile_m}
    var higher#i = m#i;
#endfor
    for (var n = 0u; n < 8u; n++) {
#for i in ${tile_m}
      {
        let w = weights[(row + #iu) * 9u + n];
        higher#i = max(higher#i, max(max(w.x, w.y), max(w.z, w.w)));
      }
#endfor
    }
    workgroupBarrier();
#for i in ${tile_m}
    {
      let keep = ${exp}(m#i - higher#i);
      m#i = higher#i;
      sum#i *= keep;
#for n in ${tile_n}
      o#i_#n *= keep;
#endfor
#for n in 4
      let e#n = select(0.0, ${exp}(s#i_#n - higher#i), s#i_#n > -2.95e38);
#endfor
      weights[(row + #iu) * 9u + column] = vec4<f32>(e0, e1, e2, e3);
    }
#endfor
    workgroupBarrier();
    for (var n = 0u; n < 8u; n++) {
#for i in ${tile_m}
      let w#i = weights[(row + #iu) * 9u + n];
      sum#i += w#i.x;
      sum#i += w#i.y;
      sum#i += w#i.z;
      sum#i += w#i.w;
#endfor
#for e in x y z w
      {
        let at = (4u * n + of_#e) * pitch;
#for n in ${tile_n}
        let v#n = staged(kv_tile[at + min(column + 8u * #nu, ${d}u - 1u)]);
#for i in ${tile_m}
        o#i_#n += w#i.#e * v#n;
#endfor
#endfor
      }
#endfor
    }
  }
#for i in ${tile_m}
  {
    let r = first + row + #iu;
    let to = (b * shape.count + r / shape.group_size) * shape.y_pitch + (group.y * shape.group_size + r % shape.group_size) * ${d}u + column;
#for n in ${tile_n}
    if (r < all && column + 8u * #nu < ${d}u) {
      y[to + 8u * #nu] = to_${x}(o#i_#n / sum#i);
    }
#endfor
#if ${terms}
    if (r < all && column == 0u) {
      let head = group.y * shape.group_size + r % shape.group_size;
      row_terms[(b * shape.count + r / shape.group_size) * shape.terms_pitch + 2u * head] = m#i + log_(sum#i);
    }
#endif
  }
#endfor
}

const of_x = 0u;
const of_y = 1u;
const of_z = 2u;
const of_w = 3u;
