// y[i] = (mask[i] ? mask_token : x[i]) + pos_embed[i], for each picture in turn.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> mask_token: array<${w}x4>;
@group(0) @binding(3) var<storage, read> pos_embed: array<${w}x4>;
@group(0) @binding(4) var<storage, read_write> y: array<${x}x4>;

struct Shape { elements: u32, each: u32, row_quads: u32, positions: u32 }
@group(0) @binding(5) var<uniform> shape: Shape;

fn element(i: u32) {
  let token = select(from_${x}(x[i]), from_${w}(mask_token[i % shape.row_quads]), mask[i / shape.row_quads] != 0u);
  y[i] = to_${x}(token + from_${w}(pos_embed[i % (shape.positions * shape.row_quads)]));
}
#include "lib/elements.wgsl"
