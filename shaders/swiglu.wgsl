// y = silu(gate) * up, gate and up side by side in x.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read_write> y: array<${x}x4>;

struct Shape { elements: u32, each: u32, row_quads: u32, pitch: u32, up: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

fn element(i: u32) {
  let base = (i / shape.row_quads) * shape.pitch + i % shape.row_quads;
  y[i] = to_${x}(silu(from_${x}(x[base])) * from_${x}(x[base + shape.up]));
}
#include "lib/elements.wgsl"
