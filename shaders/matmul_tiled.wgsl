// y = act(α x wᵀ + b) (+ r), or x w, for many rows on a GPU: a workgroup of `across` × `down` threads stages tiles of x and w
// in workgroup memory as f32; a thread computes tile_m rows × tile_n quads of columns, summing over k in order. All loads of a
// tile are under way before the first is stored.
#if ${subgroup}
enable subgroups;
enable subgroup_size_control;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/matmul_operands.wgsl"
#include "lib/tile.wgsl"

#if ${subgroup}
@compute @workgroup_size(${threads}) @subgroup_size(${subgroup})
#else
@compute @workgroup_size(${threads})
#endif
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let run = u32(group.x >= shape.first_tile.y) + u32(group.x >= shape.first_tile.z);
  let first_quad = shape.first_quad[run] + (group.x - shape.first_tile[run]) * quads;
  let end_quad = shape.first_quad[run + 1u];
  let first_row = (shape.first_group + group.y) * rows;
  // What this thread stages: one quad of k of every (threads / depth)-th row.
  let deep = lane % depth;
  let line = lane / depth;
  let to_x = deep * x_stride + line;
  let to_w = deep * w_stride + (line % 4u) * q_stride + line / 4u;
  // What it computes.
  let column = lane % across;
  let row = lane / across;
#for i in ${tile_m}
#for n in ${tile_n}
  var c#i_#n = vec4<f32>();
#endfor
#endfor
#for s in ${operands}
  {
    let begin = #s_begin(run);
#for i in ${x_loads}
    let xr#i = min(first_row + line + #iu * ${lines}u, shape.rows - 1u) * shape.#s_pitch + begin;
#endfor
#for i in ${w_loads}
#if ${transposed}
    let column#i = column_of(first_quad, line + #iu * ${lines}u);
#endif
#endfor
    for (var k = 0u; k < shape.#s_quads; k += depth) {
      let at = min(k + deep, shape.#s_quads - 1u);
      let inside = k + deep < shape.#s_quads;
#for i in ${x_loads}
      let xv#i = #s[xr#i + at];
#endfor
#for i in ${w_loads}
#if ${transposed}
      let wv#i = select(vec4<f32>(), #s_weights(#s_start(column#i) + at), inside);
#else
      let wv#i = load_w(w_row(row_of(k, (lane + #iu * ${threads}u) / quads)) + min(first_quad + (lane + #iu * ${threads}u) % quads, shape.w_pitch - 1u));
#endif
#endfor
#for i in ${x_loads}
      x_tile[to_x + #iu * ${lines}u] = from_${x}(select(${x}x4(), xv#i, inside));
#endfor
#for i in ${w_loads}
#if ${transposed}
      w_tile[to_w + #iu * ${lines}u / 4u] = wv#i;
#else
      {
        let n = lane + #iu * ${threads}u;
        w_tile[n / quads / 4u * w_stride + n / quads % 4u * q_stride + n % quads] = wv#i;
      }
#endif
#endfor
      workgroupBarrier();
#include "lib/tile_product.wgsl"
      workgroupBarrier();
    }
  }
#endfor
#for i in ${tile_m}
#for n in ${tile_n}
  if (first_row + #iu * ${down}u + row < shape.rows && first_quad + column + #nu * across < end_quad) {
    store(first_row + #iu * ${down}u + row, first_quad + column + #nu * across, c#i_#n);
  }
#endfor
#endfor
}
