// logits ← weight[r] dloss (softmax(logits) - [c = target]): the gradient takes their place, so that no softmax is stored beside
// them. Columns past the classes get zeros.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> goal: array<i32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> log_sum: array<f32>;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32x4>;

struct Shape { elements: u32, each: u32, row_quads: u32, classes: u32 }
@group(0) @binding(5) var<uniform> shape: Shape;

fn element(i: u32) {
  let r = i / shape.row_quads;
  let c = vec4<u32>(4u * (i % shape.row_quads)) + vec4<u32>(0u, 1u, 2u, 3u);
  let t = goal[r];
  let share = exp4_(clamp(logits[i], vec4<f32>(-2.9e38), vec4<f32>(2.9e38)) - vec4<f32>(log_sum[r]));
  let hit = select(vec4<f32>(), vec4<f32>(1.0), c == vec4<u32>(u32(max(t, 0))));
  let factor = select(weight[r] * dloss[0], 0.0, t < 0 || u32(max(t, 0)) >= shape.classes);
  logits[i] = select(vec4<f32>(), factor * (share - hit), c < vec4<u32>(shape.classes));
}
#include "lib/elements.wgsl"
