// y = 0, padding too.
@group(0) @binding(0) var<storage, read_write> y: array<vec4<u32>>;

struct Shape { elements: u32, each: u32 }
@group(0) @binding(1) var<uniform> shape: Shape;

fn element(i: u32) {
  y[i] = vec4<u32>();
}
#include "lib/elements.wgsl"
