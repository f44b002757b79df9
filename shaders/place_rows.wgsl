// y[index[r]] = x[r], mask[index[r]] = 0: the tokens just sampled take their places among the known.
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> mask: array<u32>;

struct Shape { elements: u32, each: u32, row_quads: u32 }
@group(0) @binding(4) var<uniform> shape: Shape;

fn element(i: u32) {
  let to = index[i / shape.row_quads];
  y[to * shape.row_quads + i % shape.row_quads] = x[i];
  if (i % shape.row_quads == 0u) {
    mask[to] = 0u;
  }
}
#include "lib/elements.wgsl"
