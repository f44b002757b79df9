// y = act(α x wᵀ + b) (+ r), or x w, for one to eight rows on a GPU, such as a decode step: a workgroup computes one quad of
// columns, its threads taking every 64th quad of k, so that w streams by once and in order; a tree adds their sums up. So
// the order of a sum is not that of the other variants, which go over k from first to last.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/matmul_operands.wgsl"

var<workgroup> sums: array<vec4<f32>, 64u * ${tile_m}u>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let run = u32(group.x >= shape.first_tile.y) + u32(group.x >= shape.first_tile.z);
  let quad = shape.first_quad[run] + group.x - shape.first_tile[run];
#for n in 4
  let n#n = column_of(quad, #nu);
#endfor
  let first_row = group.y * ${tile_m}u;
#for i in ${tile_m}
  var c#i = vec4<f32>();
#endfor
#for s in ${operands}
  {
    let begin = #s_begin(run);
    for (var k = lane; k < shape.#s_quads; k += 64u) {
#for n in 4
#if ${transposed}
      let w#n = #s_weights(n#n, k);
#else
      let w#n = load_w(row_of(k, #nu), quad);
#endif
#endfor
#for i in ${tile_m}
      {
        let v = from_${x}(#s[min(first_row + #iu, shape.rows - 1u) * shape.#s_pitch + begin + k]);
#if ${transposed}
        c#i += vec4<f32>(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
#else
        c#i += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
#endif
      }
#endfor
    }
  }
#endfor
#for i in ${tile_m}
  sums[#iu * 64u + lane] = c#i;
#endfor
  workgroupBarrier();
  for (var stride = 32u; stride > 0u; stride >>= 1u) {
    if (lane < stride) {
#for i in ${tile_m}
      sums[#iu * 64u + lane] += sums[#iu * 64u + lane + stride];
#endfor
    }
    workgroupBarrier();
  }
  if (lane < ${tile_m}u && first_row + lane < shape.rows) {
    store(first_row + lane, quad, sums[lane * 64u]);
  }
}
