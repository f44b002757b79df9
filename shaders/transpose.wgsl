// y[c][r] = x[r][c]: a thread turns a block of four rows × one quad.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read_write> y: array<${x}x4>;

struct Shape { elements: u32, each: u32, rows: u32, cols: u32, x_pitch: u32, y_pitch: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

fn load(row: u32, quad: u32) -> vec4<f32> {
  // Rows past the last are y's padding and must be zero.
  return select(vec4<f32>(), from_${x}(x[min(row, shape.rows - 1u) * shape.x_pitch + quad]), row < shape.rows);
}

fn element(i: u32) {
  let quad = i % shape.x_pitch;
  let to = i / shape.x_pitch;
  let block = transpose(mat4x4<f32>(load(4u * to, quad), load(4u * to + 1u, quad), load(4u * to + 2u, quad), load(4u * to + 3u, quad)));
#for c in 4
  if (4u * quad + #cu < shape.cols) {
    y[(4u * quad + #cu) * shape.y_pitch + to] = to_${x}(block[#c]);
  }
#endfor
}
#include "lib/elements.wgsl"
