// y = act(α x wᵀ + b) (+ r): a thread computes tile_m rows × one quad of columns straight from memory, summing over k in
// order. No workgroup memory and no barrier: what a CPU's vector units want.
#if ${subgroup}
enable subgroups;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/matmul_operands.wgsl"

@compute @workgroup_size(${threads})
#if ${subgroup}
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) id: u32) {
#else
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
#endif
  let run = u32(group.x >= shape.first_tile.y) + u32(group.x >= shape.first_tile.z);
  let mine = shape.first_quad[run] + (group.x - shape.first_tile[run]) * ${threads}u + lane;
  let quad = min(mine, shape.first_quad[run + 1u] - 1u);
#for n in 4
  let w#n = weight_row(quad, #nu);
#endfor
  let first_row = group.y * ${tile_m}u;
#for i in ${tile_m}
  var c#i = vec4<f32>();
#endfor
#for s in ${operands}
  {
    let begin = #s_begin(run);
#if ${subgroup}
    // All threads want the same rows of x: each loads a word of them and the subgroup shares these.
#for h in ${loads}
    let word#h = #hu * ${subgroup}u + id % ${subgroup}u;
    let at#h = (min(first_row + word#h / ${words}u, shape.rows - 1u) * shape.#s_pitch + begin) * ${words}u + word#h % ${words}u;
#endfor
#else
#for i in ${tile_m}
    let at#i = min(first_row + #iu, shape.rows - 1u) * shape.#s_pitch + begin;
#endfor
#endif
    for (var k = 0u; k < shape.#s_quads; k++) {
      let a = from_${w}(w[w0 + shape.#s_in_w + k]);
      let b = from_${w}(w[w1 + shape.#s_in_w + k]);
      let c = from_${w}(w[w2 + shape.#s_in_w + k]);
      let d = from_${w}(w[w3 + shape.#s_in_w + k]);
#if ${subgroup}
      let shared_words = array<u32, ${loads}>(
#for h in ${loads}
        #s[at#h + ${words}u * k],
#endfor
      );
#endif
#for i in ${tile_m}
      {
#if ${subgroup}
        let v = unpack_${x}(vec${words}<u32>(
#for j in ${words}
          subgroupBroadcast(shared_words[(${words}u * #iu + #ju) / ${subgroup}u], (${words}u * #iu + #ju) % ${subgroup}u),
#endfor
        ));
#else
        let v = from_${x}(#s[at#i + k]);
#endif
        c#i += v.x * vec4<f32>(a.x, b.x, c.x, d.x);
        c#i += v.y * vec4<f32>(a.y, b.y, c.y, d.y);
        c#i += v.z * vec4<f32>(a.z, b.z, c.z, d.z);
        c#i += v.w * vec4<f32>(a.w, b.w, c.w, d.w);
      }
#endfor
    }
  }
#endfor
#for i in ${tile_m}
  if (mine == quad && first_row + #iu < shape.rows) {
    store(first_row + #iu, quad, c#i);
  }
#endfor
}
