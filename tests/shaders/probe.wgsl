// y = f(v, w), element by element: one expression over lib/ a variant.
#include "../../shaders/lib/types.wgsl"
#include "../../shaders/lib/math.wgsl"
@group(0) @binding(0) var<storage, read> x0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= arrayLength(&x0)) {
    return;
  }
  let v = x0[id.x];
  let w = x1[id.x];
  y[id.x] = ${f};
}
