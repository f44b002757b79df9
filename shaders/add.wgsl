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

struct Shape { quads: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i < shape.quads) {
#if ${accumulate}
    y[i] = to_${y}(from_${y}(y[i]) + from_${b}(b[i]));
#else
    y[i] = to_${y}(from_${y}(a[i]) + from_${b}(b[i]));
#endif
  }
}
