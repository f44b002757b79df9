// dx[i] = mask[i] ? 0 : dy[i].
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> dy: array<${x}x4>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<${x}x4>;

struct Shape { elements: u32, each: u32, row_quads: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn element(i: u32) {
  dx[i] = to_${x}(select(from_${x}(dy[i]), vec4<f32>(), mask[i / shape.row_quads] != 0u));
}
#include "lib/elements.wgsl"
