// y = act(x wᵀ + b) (+ r): a thread computes tile_m rows × one quad of columns straight from memory, summing over k in
// order. No workgroup memory and no barrier: what a CPU's vector units want.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/matmul_operands.wgsl"

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let run = u32(group.x >= shape.first_tile.y) + u32(group.x >= shape.first_tile.z);
  let quad = shape.first_quad[run] + (group.x - shape.first_tile[run]) * ${lanes}u + lane;
  if (quad >= shape.first_quad[run + 1u]) {
    return;
  }
  let w0 = 4u * quad * shape.w_pitch;
  let w1 = min(4u * quad + 1u, shape.w_rows - 1u) * shape.w_pitch;
  let w2 = min(4u * quad + 2u, shape.w_rows - 1u) * shape.w_pitch;
  let w3 = min(4u * quad + 3u, shape.w_rows - 1u) * shape.w_pitch;
  let first_row = group.y * ${tile_m}u;
#for i in ${tile_m}
  let x#i = min(first_row + #iu, shape.rows - 1u) * shape.x_pitch;
  var c#i = vec4<f32>();
#endfor
  for (var k = 0u; k < shape.k_quads; k++) {
    let a = from_${w}(w[w0 + k]);
    let b = from_${w}(w[w1 + k]);
    let c = from_${w}(w[w2 + k]);
    let d = from_${w}(w[w3 + k]);
#for i in ${tile_m}
    {
      let v = from_${x}(x[x#i + k]);
      c#i += v.x * vec4<f32>(a.x, b.x, c.x, d.x);
      c#i += v.y * vec4<f32>(a.y, b.y, c.y, d.y);
      c#i += v.z * vec4<f32>(a.z, b.z, c.z, d.z);
      c#i += v.w * vec4<f32>(a.w, b.w, c.w, d.w);
    }
#endfor
  }
#if ${lora}
  let base = shape.k_quads;
  let low_rank = (run + shape.first_run) * shape.rank_quads;
#for i in ${tile_m}
  let l#i = min(first_row + #iu, shape.rows - 1u) * shape.low_pitch + low_rank;
  var e#i = vec4<f32>();
#endfor
  for (var k = 0u; k < shape.rank_quads; k++) {
    let a = from_${w}(w[w0 + base + k]);
    let b = from_${w}(w[w1 + base + k]);
    let c = from_${w}(w[w2 + base + k]);
    let d = from_${w}(w[w3 + base + k]);
#for i in ${tile_m}
    {
      let v = from_${x}(low[l#i + k]);
      e#i += v.x * vec4<f32>(a.x, b.x, c.x, d.x);
      e#i += v.y * vec4<f32>(a.y, b.y, c.y, d.y);
      e#i += v.z * vec4<f32>(a.z, b.z, c.z, d.z);
      e#i += v.w * vec4<f32>(a.w, b.w, c.w, d.w);
    }
#endfor
  }
#for i in ${tile_m}
  c#i += shape.lora_scale * e#i;
#endfor
#endif
#for i in ${tile_m}
  if (first_row + #iu < shape.rows) {
    store(first_row + #iu, quad, c#i);
  }
#endfor
}
