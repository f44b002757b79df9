// y = silu(gate) up: dgate = silu'(gate) up dy, dup = silu(gate) dy, side by side in dx.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> dy: array<${x}x4>;
@group(0) @binding(2) var<storage, read_write> dx: array<${x}x4>;

struct Shape { elements: u32, each: u32, row_quads: u32, pitch: u32, up: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn element(i: u32) {
  let base = (i / shape.row_quads) * shape.pitch + i % shape.row_quads;
  let gate = from_${x}(x[base]);
  let d = from_${x}(dy[i]);
  dx[base] = to_${x}(silu_slope(gate) * from_${x}(x[base + shape.up]) * d);
  dx[base + shape.up] = to_${x}(silu(gate) * d);
}
#include "lib/elements.wgsl"
