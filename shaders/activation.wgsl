#if ${backward}
// dx = act'(x) dy.
#else
// y = act(x).
#endif
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
#if ${backward}
@group(0) @binding(1) var<storage, read> dy: array<${x}x4>;
#endif
@group(0) @binding(${out}) var<storage, read_write> y: array<${x}x4>;

struct Shape { elements: u32, each: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

fn element(i: u32) {
#if ${backward}
  y[i] = to_${x}(${act}_slope(from_${x}(x[i])) * from_${x}(dy[i]));
#else
  y[i] = to_${x}(${act}(from_${x}(x[i])));
#endif
}
#include "lib/elements.wgsl"
