#if ${backward}
// du = 2 weight[r] (u - target) dloss.
#else
// loss[r] = weight[r] Σ_c (u - target)², a thread a row.
#endif
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> u: array<f32x4>;
@group(0) @binding(1) var<storage, read> goal: array<f32x4>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
#if ${backward}
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32x4>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#endif

struct Shape { elements: u32, each: u32, rows: u32, row_quads: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

fn element(i: u32) {
#if ${backward}
  y[i] = (u[i] - goal[i]) * (2.0 * weight[i / shape.row_quads] * dloss[0]);
#else
  if (i >= shape.rows) {
    y[i] = 0.0;
    return;
  }
  var sum = vec4<f32>();
  for (var q = i * shape.row_quads; q < (i + 1u) * shape.row_quads; q++) {
    let v = u[q] - goal[q];
    sum += v * v;
  }
  y[i] = weight[i] * ((sum.x + sum.y) + (sum.z + sum.w));
#endif
}
#include "lib/elements.wgsl"
