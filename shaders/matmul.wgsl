// y = act(α x wᵀ + b) (+ r), or x w: a thread computes tile_m rows × one quad of columns (or of gate and of up) straight from
// memory, summing over k in order. No workgroup memory and no barrier: what a CPU's vector units want. By `eights` it reads
// two quads of k at once. A CPU's compiler moves nothing out of a loop: what a loop reads of the uniforms is read before it.
// Where its threads have room, a workgroup is one subgroup, holds its rows of x and multiplies `each` tiles of columns by them:
// lavapipe gathers from a thread's own memory with a seventh of the instructions. Four threads that run as one, SwiftShader's,
// load a row each and swap them: there a broadcast takes twenty instructions, a swap one. Sums are scalars and not quads, whose
// products all stand in memory before the first is added there.
#if ${subgroup}
enable subgroups;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/matmul_operands.wgsl"

#if ${broadcasts}
// All threads want the same rows of x: at a step of k each loads some parts of them, words or, by eights, two quads, which the
// subgroup shares. Where the h-th part of the thread at place `id` begins.
fn part_at(h: u32, id: u32, first_row: u32, pitch: u32, begin: u32) -> u32 {
#if ${eights}
  let row = min(first_row + min(h * ${subgroup}u + id, ${tile_m}u - 1u), shape.rows - 1u);
  return (row * pitch + begin) / 2u;
#else
  let word = h * ${subgroup}u + id % ${subgroup}u;
  let row = min(first_row + word / ${words}u, shape.rows - 1u);
  return (row * pitch + begin) * ${words}u + word % ${words}u;
#endif
}

// That part at step i of k.
#if ${held}
var<private> held: array<${x_element}, ${held}>;

fn x_part(at: u32, i: u32, h: u32) -> ${x_element} {
  return held[i * ${loads}u + h];
}
#else
fn x_part(at: u32, i: u32, h: u32) -> ${x_element} {
  return x[at + i * ${stride}u];
}
#endif
#if ${low}
fn low_part(at: u32, i: u32, h: u32) -> ${x_element} {
  return low[at + i * ${stride}u];
}
#endif
#endif

@compute @workgroup_size(${threads})
#if ${subgroup}
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) id: u32) {
#else
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
#endif
  let first_row = (shape.first_group + group.y) * ${tile_m}u;
#if ${held}
  {
    let steps = (shape.x_quads + ${step}u - 1u) / ${step}u;
#for h in ${loads}
    let at#h = part_at(#hu, id, first_row, shape.x_pitch, shape.x_first);
#endfor
    for (var i = 0u; i < steps; i++) {
#for h in ${loads}
      held[i * ${loads}u + #hu] = x[at#h + i * ${stride}u];
#endfor
    }
  }
  let end = min((group.x + 1u) * shape.each, shape.first_tile.w);
  for (var tile = group.x * shape.each; tile < end; tile++) {
#else
  let tile = group.x;
#endif
  let run = u32(tile >= shape.first_tile.y) + u32(tile >= shape.first_tile.z);
  let mine = shape.first_quad[run] + (tile - shape.first_tile[run]) * ${threads}u + lane;
#if ${pairs}
  // A quad of gate and the one of up that meets it.
  let quad0 = min(mine, shape.pair - 1u);
  let quad1 = quad0 + shape.pair;
#else
  let quad0 = min(mine, shape.first_quad[run + 1u] - 1u);
#endif
#for q in ${quads}
#for n in 4
  let n#q_#n = column_of(quad#q, #nu);
#endfor
#endfor
#for q in ${quads}
#for i in ${tile_m}
#for n in 4
  var c#q_#i_#n = 0f;
#endfor
#endfor
#endfor
#if ${eights}
#for s in ${operands}
  {
    let begin = #s_begin(run);
    let depth = shape.#s_quads;
#for n in 4
    let start0_#n = #s_start(n0_#n);
#endfor
#for h in ${loads}
    let at#h = part_at(#hu, id, first_row, shape.#s_pitch, begin);
#endfor
    for (var k = 0u; k < depth; k += 2u) {
#for n in 4
      let w#n = #s_weights(start0_#n + k);
      let u#n = from_bf16(w#n.xy);
      let v#n = from_bf16(w#n.zw);
#endfor
      let shared_quads = array<vec4<u32>, ${loads}>(
#for h in ${loads}
        #s_part(at#h, k / 2u, #hu),
#endfor
      );
#for i in ${tile_m}
      {
        let both = subgroupBroadcast(shared_quads[#iu / ${subgroup}u], #iu % ${subgroup}u);
        let e = from_bf16(both.xy);
        let o = from_bf16(both.zw);
#for n in 4
        c0_#i_#n += e.x * u#n.x;
        c0_#i_#n += e.y * u#n.y;
        c0_#i_#n += e.z * u#n.z;
        c0_#i_#n += e.w * u#n.w;
        c0_#i_#n += o.x * v#n.x;
        c0_#i_#n += o.y * v#n.y;
        c0_#i_#n += o.z * v#n.z;
        c0_#i_#n += o.w * v#n.w;
#endfor
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
#for q in ${quads}
#for n in 4
    let start#q_#n = #s_start(n#q_#n);
#endfor
#endfor
#else
    let start = shape.w_begin + quad0;
    let pitch = shape.w_pitch;
    let last = shape.x_rows - 1u;
#endif
#if ${swaps}
#for h in ${loads}
    let at#h = min(first_row + 4u * #hu + id, shape.rows - 1u) * shape.#s_pitch + begin;
#endfor
#elif ${broadcasts}
#for h in ${loads}
    let at#h = part_at(#hu, id, first_row, shape.#s_pitch, begin);
#endfor
#else
#for i in ${tile_m}
    let at#i = min(first_row + #iu, shape.rows - 1u) * shape.#s_pitch + begin;
#endfor
#endif
    for (var k = 0u; k < depth; k++) {
#if ${transposed}
#for q in ${quads}
#for n in 4
      let w#q_#n = #s_weights(start#q_#n + k);
#endfor
#endfor
#else
#for n in 4
      let r#n = load_w(start + min(4u * k + #nu, last) * pitch);
#endfor
#for n in 4
      let w0_#n = vec4<f32>(r0[#n], r1[#n], r2[#n], r3[#n]);
#endfor
#endif
#if ${swaps}
#for h in ${loads}
      let own#h = from_${x}(#s[at#h + k]);
#endfor
      let swapped = array<vec4<f32>, ${tile_m}>(
#for h in ${loads}
        own#h, quadSwapX(own#h), quadSwapY(own#h), quadSwapDiagonal(own#h),
#endfor
      );
#elif ${broadcasts}
      let shared_words = array<u32, ${loads}>(
#for h in ${loads}
        #s_part(at#h, k, #hu),
#endfor
      );
#endif
#for i in ${tile_m}
      {
#if ${swaps}
        let v = swapped[#iu];
#elif ${broadcasts}
        let v = unpack_${x}(vec${words}<u32>(
#for j in ${words}
          subgroupBroadcast(shared_words[(${words}u * #iu + #ju) / ${subgroup}u], (${words}u * #iu + #ju) % ${subgroup}u),
#endfor
        ));
#else
        let v = from_${x}(#s[at#i + k]);
#endif
#for q in ${quads}
#for n in 4
        c#q_#i_#n += v.x * w#q_#n.x;
        c#q_#i_#n += v.y * w#q_#n.y;
        c#q_#i_#n += v.z * w#q_#n.z;
        c#q_#i_#n += v.w * w#q_#n.w;
#endfor
#endfor
      }
#endfor
    }
  }
#endfor
#endif
  // One by one: a CPU's compiler writes each store out for every thread.
#for q in ${quads}
  var sums#q = array<vec4<f32>, ${tile_m}>(
#for i in ${tile_m}
    vec4<f32>(c#q_#i_0, c#q_#i_1, c#q_#i_2, c#q_#i_3),
#endfor
  );
#endfor
  if (mine == quad0) {
    let end_row = min(first_row + ${tile_m}u, shape.rows);
    for (var row = first_row; row < end_row; row++) {
#if ${swaps}
      let i = (row - first_row) ^ id; // of four rows its own comes first, then its neighbours'
#else
      let i = row - first_row;
#endif
#if ${pairs}
      store_pair(row, quad0, sums0[i], sums1[i]);
#else
      store(row, quad0, sums0[i]);
#endif
    }
  }
#if ${held}
  }
#endif
}
