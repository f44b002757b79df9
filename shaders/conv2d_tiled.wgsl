// y = w * x + b (+ r), 3×3, as a matmul on a GPU: rows are pixels, k goes over taps and input channels, and a tile of x is
// gathered from the picture as it is staged. Sums in the order of conv2d.wgsl, whose operands these are.
#if ${subgroup}
enable subgroups;
enable subgroup_size_control;
#endif
#include "lib/types.wgsl"
#include "lib/conv2d_operands.wgsl"
#include "lib/tile.wgsl"

#if ${subgroup}
@compute @workgroup_size(${threads}) @subgroup_size(${subgroup})
#else
@compute @workgroup_size(${threads})
#endif
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first_quad = group.x * quads;
  let first_row = (shape.first_group + group.y) * rows;
  let pixels = shape.height * shape.width;
  let all = shape.taps * shape.in_quads;
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
#for i in ${x_loads}
  let pixel#i = min(first_row + line + #iu * ${lines}u, pixels - 1u);
  let up#i = i32(pixel#i / shape.width * ${stride}u) - ${pad};
  let left#i = i32(pixel#i % shape.width * ${stride}u) - ${pad};
#endfor
#for i in ${w_loads}
  let channel#i = min(4u * first_quad + line + #iu * ${lines}u, shape.channels - 1u);
#endfor
  for (var k = 0u; k < all; k += depth) {
    let at = min(k + deep, all - 1u);
    let tap = at / shape.in_quads;
#for i in ${x_loads}
    let y#i = up#i + i32(tap / 3u);
    let x#i = left#i + i32(tap % 3u);
    let inside#i = k + deep < all && in_picture(y#i, x#i);
    let xv#i = x[pixel_at(y#i, x#i) * shape.in_quads + at % shape.in_quads];
#endfor
#for i in ${w_loads}
    let wv#i = load_w(w_row(channel#i) + at);
#endfor
#for i in ${x_loads}
    x_tile[to_x + #iu * ${lines}u] = from_${x}(select(${x}x4(), xv#i, inside#i));
#endfor
#for i in ${w_loads}
    w_tile[to_w + #iu * ${lines}u / 4u] = wv#i;
#endfor
    workgroupBarrier();
#include "lib/tile_product.wgsl"
    workgroupBarrier();
  }
#for i in ${tile_m}
#for n in ${tile_n}
  if (first_row + #iu * ${down}u + row < pixels && first_quad + column + #nu * across < shape.y_quads) {
    store(first_row + #iu * ${down}u + row, first_quad + column + #nu * across, c#i_#n);
  }
#endfor
#endfor
}
