// y = a + b, or y += b.
#include "lib/types.wgsl"
#if ${accumulate}
@group(0) @binding(0) var<storage, read> b: array<${b}x4>;
@group(0) @binding(1) var<storage, read_write> y: array<${y}x4>;
#else
@group(0) @binding(0) var<storage, read> a: array<${y}x4>;
@group(0) @binding(1) var<storage, read> b: array<${b}x4>;
@group(0) @binding(2) var<storage, read_write> y: array<${y}x4>;
#endif

struct Shape { elements: u32, each: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

fn element(i: u32) {
#if ${accumulate}
  y[i] = to_${y}(from_${y}(y[i]) + from_${b}(b[i]));
#else
  y[i] = to_${y}(from_${y}(a[i]) + from_${b}(b[i]));
#endif
}
#include "lib/elements.wgsl"
