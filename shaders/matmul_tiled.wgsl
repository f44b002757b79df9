// y = act(α x wᵀ + b) (+ r), or x w, for many rows on a GPU: a workgroup of 8 × 8 threads stages tiles of x and w in
// workgroup memory as f32; a thread computes tile_m rows × two quads of columns, summing over k in order.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/matmul_operands.wgsl"

const rows = 8u * ${tile_m}u; // of a workgroup's tile
const depth = 8u; // quads of k in a tile
var<workgroup> x_tile: array<vec4<f32>, depth * rows>; // [k][row]
var<workgroup> w_tile: array<vec4<f32>, depth * 64u>; // [k][column of its quad, or row of k][quad]: neighbours read neighbours

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let run = u32(group.x >= shape.first_tile.y) + u32(group.x >= shape.first_tile.z);
  let first_quad = shape.first_quad[run] + (group.x - shape.first_tile[run]) * 16u;
  let end_quad = shape.first_quad[run + 1u];
  let first_row = group.y * rows;
  let across = lane % 8u;
  let down = lane / 8u;
#for i in ${tile_m}
  var c#i = vec4<f32>();
  var d#i = vec4<f32>();
#endfor
#for s in ${operands}
  {
    let begin = #s_begin(run);
    for (var k = 0u; k < shape.#s_quads; k += depth) {
      let at = k + across;
      let inside = at < shape.#s_quads;
      let clamped = min(at, shape.#s_quads - 1u);
      for (var r = down; r < rows; r += 8u) {
        let row = min(first_row + r, shape.rows - 1u);
        x_tile[across * rows + r] = select(vec4<f32>(), from_${x}(#s[row * shape.#s_pitch + begin + clamped]), inside);
      }
#if ${transposed}
      for (var n = down; n < 64u; n += 8u) {
        let column = column_of(first_quad, n);
        w_tile[across * 64u + (n % 4u) * 16u + n / 4u] = select(vec4<f32>(), #s_weights(column, clamped), inside);
      }
#else
      for (var n = lane; n < depth * 64u; n += 64u) {
        w_tile[n] = load_w(row_of(k, n / 16u), min(first_quad + n % 16u, shape.w_pitch - 1u));
      }
#endif
      workgroupBarrier();
      for (var j = 0u; j < depth; j++) {
#for n in 4
        let p#n = w_tile[j * 64u + #nu * 16u + across];
        let q#n = w_tile[j * 64u + #nu * 16u + across + 8u];
#endfor
#for i in ${tile_m}
        {
          let v = x_tile[j * rows + #iu * 8u + down];
#if ${transposed}
          c#i += v.x * vec4<f32>(p0.x, p1.x, p2.x, p3.x);
          c#i += v.y * vec4<f32>(p0.y, p1.y, p2.y, p3.y);
          c#i += v.z * vec4<f32>(p0.z, p1.z, p2.z, p3.z);
          c#i += v.w * vec4<f32>(p0.w, p1.w, p2.w, p3.w);
          d#i += v.x * vec4<f32>(q0.x, q1.x, q2.x, q3.x);
          d#i += v.y * vec4<f32>(q0.y, q1.y, q2.y, q3.y);
          d#i += v.z * vec4<f32>(q0.z, q1.z, q2.z, q3.z);
          d#i += v.w * vec4<f32>(q0.w, q1.w, q2.w, q3.w);
#else
          c#i += v.x * p0;
          c#i += v.y * p1;
          c#i += v.z * p2;
          c#i += v.w * p3;
          d#i += v.x * q0;
          d#i += v.y * q1;
          d#i += v.z * q2;
          d#i += v.w * q3;
#endif
        }
#endfor
      }
      workgroupBarrier();
    }
  }
#endfor
#for i in ${tile_m}
  {
    let row = first_row + #iu * 8u + down;
    if (row < shape.rows && first_quad + across < end_quad) {
      store(row, first_quad + across, c#i);
    }
    if (row < shape.rows && first_quad + across + 8u < end_quad) {
      store(row, first_quad + across + 8u, d#i);
    }
  }
#endfor
}
