// y[s × rows + r] = silu(a[r] + b[first + s + r × stride]), first read on the device: the AdaLN condition SiLU(cond_embed(z) +
// time_embed(t)) of some diffusion steps in a row.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> a: array<${x}x4>;
@group(0) @binding(1) var<storage, read> b: array<${x}x4>;
@group(0) @binding(2) var<storage, read> first: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<${x}x4>;

struct Shape { elements: u32, each: u32, rows: u32, row_quads: u32, b_rows: u32, stride: u32 }
@group(0) @binding(4) var<uniform> shape: Shape;

fn element(i: u32) {
  let row = i / shape.row_quads;
  let quad = i % shape.row_quads;
  let b_row = min(first[0] + row / shape.rows + (row % shape.rows) * shape.stride, shape.b_rows - 1u);
  y[i] = to_${x}(silu(from_${x}(a[(row % shape.rows) * shape.row_quads + quad]) + from_${x}(b[b_row * shape.row_quads + quad])));
}
#include "lib/elements.wgsl"
