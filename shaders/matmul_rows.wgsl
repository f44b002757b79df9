// y = act(α x wᵀ + b) (+ r), or x w, for up to 64 rows on a GPU, such as a decode step or a diffusion step: 32 threads share a
// quad of columns, each taking every 32nd quad of k for tile_m rows, `ahead` of them at once, so that w streams by once for
// these and in order; a tree adds their sums up. So the order of a sum is not that of the other variants, which go over k
// from first to last.
#if ${subgroup}
enable subgroups;
enable subgroup_size_control;
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/matmul_operands.wgsl"
#if ${norm}
#include "lib/matmul_norm.wgsl"
#endif

var<workgroup> sums: array<vec4<f32>, ${threads}u * ${tile_m}u>;

#if ${subgroup}
@compute @workgroup_size(${threads}) @subgroup_size(${subgroup})
#else
@compute @workgroup_size(${threads})
#endif
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let run = u32(group.x >= shape.first_tile.y) + u32(group.x >= shape.first_tile.z);
  let mine = shape.first_quad[run] + (group.x - shape.first_tile[run]) * ${lanes}u + lane / 32u;
#if ${pairs}
  // The workgroup's two quads are one of gate and the one of up that meets it.
  let quad = group.x + lane / 32u * shape.pair;
#else
  let quad = min(mine, shape.first_quad[run + 1u] - 1u);
#endif
  let part = lane % 32u;
#for n in 4
  let n#n = column_of(quad, #nu);
#endfor
  let first_row = (shape.first_group + group.y) * ${tile_m}u;
#if ${norm}
  stage_rows(first_row, lane);
#endif
#for i in ${tile_m}
  var c#i = vec4<f32>();
#endfor
#for s in ${operands}
  {
    let begin = #s_begin(run);
    for (var k = part; k < shape.#s_quads; k += 32u * ${ahead}u) {
#for h in ${ahead}
      let k#h = min(k + 32u * #hu, shape.#s_quads - 1u);
#for n in 4
#if ${transposed}
      let w#h_#n = #s_weights(#s_start(n#n) + k#h);
#else
      let w#h_#n = load_w(w_row(row_of(k#h, #nu)) + quad);
#endif
#endfor
#for i in ${tile_m}
#if ${norm}
      let x#h_#i = staged[#iu * k_quads + k#h];
#else
      let x#h_#i = #s[min(first_row + #iu, shape.rows - 1u) * shape.#s_pitch + begin + k#h];
#endif
#endfor
#endfor
#for h in ${ahead}
#for i in ${tile_m}
      {
        let v = from_${x}(select(${x}x4(), x#h_#i, k + 32u * #hu < shape.#s_quads));
#if ${transposed}
        c#i += v.x * vec4<f32>(w#h_0.x, w#h_1.x, w#h_2.x, w#h_3.x);
        c#i += v.y * vec4<f32>(w#h_0.y, w#h_1.y, w#h_2.y, w#h_3.y);
        c#i += v.z * vec4<f32>(w#h_0.z, w#h_1.z, w#h_2.z, w#h_3.z);
        c#i += v.w * vec4<f32>(w#h_0.w, w#h_1.w, w#h_2.w, w#h_3.w);
#else
        c#i += v.x * w#h_0;
        c#i += v.y * w#h_1;
        c#i += v.z * w#h_2;
        c#i += v.w * w#h_3;
#endif
      }
#endfor
#endfor
    }
  }
#endfor
#for i in ${tile_m}
  sums[#iu * ${threads}u + lane] = c#i;
#endfor
  workgroupBarrier();
  for (var stride = 16u; stride > 0u; stride >>= 1u) {
    if (part < stride) {
#for i in ${tile_m}
      sums[#iu * ${threads}u + lane] += sums[#iu * ${threads}u + lane + stride];
#endfor
    }
    workgroupBarrier();
  }
#if ${pairs}
  if (lane < ${tile_m}u && first_row + lane < shape.rows) {
    store_pair(first_row + lane, quad, sums[lane * ${threads}u], sums[lane * ${threads}u + 32u]);
  }
#else
  if (part < ${tile_m}u && first_row + part < shape.rows && mine == quad) {
    store(first_row + part, quad, sums[part * ${threads}u + lane - part]);
  }
#endif
}
