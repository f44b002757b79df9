// y = act(α x wᵀ + b) (+ r), or x w: a thread computes tile_m rows × one quad of columns straight from memory, summing over k in
// order. No workgroup memory and no barrier: what a CPU's vector units want. By `eights` it reads two quads of k at once. A CPU's
// compiler moves nothing out of a loop: what a loop reads of the uniforms is read before it.
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
  let n#n = column_of(quad, #nu);
#endfor
  let first_row = (shape.first_group + group.y) * ${tile_m}u;
#for i in ${tile_m}
  var c#i = vec4<f32>();
#endfor
#if ${eights}
#for s in ${operands}
  {
    // Each thread loads two quads of a row of x, and the subgroup shares these.
    let begin = #s_begin(run);
    let depth = shape.#s_quads;
#for n in 4
    let start#n = #s_start(n#n);
#endfor
#for h in ${loads}
    let row#h = min(first_row + min(#hu * ${subgroup}u + id, ${tile_m}u - 1u), shape.rows - 1u);
    let at#h = (row#h * shape.#s_pitch + begin) / 2u;
#endfor
    for (var k = 0u; k < depth; k += 2u) {
#for n in 4
      let w#n = #s_weights(start#n + k);
      let u#n = from_bf16(w#n.xy);
      let v#n = from_bf16(w#n.zw);
#endfor
      let shared_quads = array<vec4<u32>, ${loads}>(
#for h in ${loads}
        #s[at#h + k / 2u],
#endfor
      );
#for i in ${tile_m}
      {
        let both = subgroupBroadcast(shared_quads[#iu / ${subgroup}u], #iu % ${subgroup}u);
        let e = from_bf16(both.xy);
        c#i += e.x * vec4<f32>(u0.x, u1.x, u2.x, u3.x);
        c#i += e.y * vec4<f32>(u0.y, u1.y, u2.y, u3.y);
        c#i += e.z * vec4<f32>(u0.z, u1.z, u2.z, u3.z);
        c#i += e.w * vec4<f32>(u0.w, u1.w, u2.w, u3.w);
        let o = from_bf16(both.zw);
        c#i += o.x * vec4<f32>(v0.x, v1.x, v2.x, v3.x);
        c#i += o.y * vec4<f32>(v0.y, v1.y, v2.y, v3.y);
        c#i += o.z * vec4<f32>(v0.z, v1.z, v2.z, v3.z);
        c#i += o.w * vec4<f32>(v0.w, v1.w, v2.w, v3.w);
      }
#endfor
    }
  }
#endfor
#else
#for s in ${operands}
  {
    let begin = #s_begin(run);
    let depth = shape.#s_quads;
#if ${transposed}
#for n in 4
    let start#n = #s_start(n#n);
#endfor
#else
    let start = shape.w_begin + quad;
    let pitch = shape.w_pitch;
    let last = shape.x_rows - 1u;
#endif
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
    for (var k = 0u; k < depth; k++) {
#for n in 4
#if ${transposed}
      let w#n = #s_weights(start#n + k);
#else
      let w#n = load_w(start + min(4u * k + #nu, last) * pitch);
#endif
#endfor
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
#if ${transposed}
        c#i += v.x * vec4<f32>(w0.x, w1.x, w2.x, w3.x);
        c#i += v.y * vec4<f32>(w0.y, w1.y, w2.y, w3.y);
        c#i += v.z * vec4<f32>(w0.z, w1.z, w2.z, w3.z);
        c#i += v.w * vec4<f32>(w0.w, w1.w, w2.w, w3.w);
#else
        c#i += v.x * w0;
        c#i += v.y * w1;
        c#i += v.z * w2;
        c#i += v.w * w3;
#endif
      }
#endfor
    }
  }
#endfor
#endif
#for i in ${tile_m}
  if (mine == quad && first_row + #iu < shape.rows) {
    store(first_row + #iu, quad, c#i);
  }
#endfor
}
