// y = factor * x.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read_write> y: array<${x}x4>;

struct Shape { elements: u32, each: u32, factor: f32 }
@group(0) @binding(2) var<uniform> shape: Shape;

fn element(i: u32) {
  y[i] = to_${x}(shape.factor * from_${x}(x[i]));
}
#include "lib/elements.wgsl"
