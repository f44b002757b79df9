// One step of AdamW, in PyTorch's order: w ← w (1 - lr decay); m ← m + (1 - β1) (g - m); v ← β2 v + (1 - β2) g²;
// w ← w - (lr / (1 - β1^n)) m / (sqrt(v) / sqrt(1 - β2^n) + ε), g clipped to a global norm. The average of w over the steps and
// w as the model reads it are written beside it, and g is zeros behind it.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> step: array<f32>; // lr, 1 - β1^n, sqrt(1 - β2^n), the average's decay
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32x4>;
@group(0) @binding(3) var<storage, read_write> master: array<f32x4>;
@group(0) @binding(4) var<storage, read_write> moment1: array<f32x4>;
@group(0) @binding(5) var<storage, read_write> moment2: array<f32x4>;
#if ${average}
@group(0) @binding(${average}) var<storage, read_write> average: array<f32x4>;
#endif
#if ${weight}
@group(0) @binding(${weight}) var<storage, read_write> weight: array<${w}x4>;
#endif

struct Shape { elements: u32, each: u32, rest1: f32, beta2: f32, rest2: f32, eps: f32, decay: f32, clip: f32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

fn element(i: u32) {
  // A gradient that is no number changes nothing.
  let broken = (bitcast<u32>(norm[0]) & 0x7f800000u) == 0x7f800000u;
  let sum = gradient[i];
  gradient[i] = vec4<f32>();
  if (broken) {
    return;
  }
  let g = sum * min(shape.clip / (norm[0] + 1e-6), 1.0);
  let m = moment1[i] + shape.rest1 * (g - moment1[i]);
  let v = moment2[i] * shape.beta2 + shape.rest2 * (g * g);
  let size = step[0] / step[1];
  var w = master[i] * (1.0 - step[0] * shape.decay);
  w -= size * (m / (sqrt(v) / step[2] + vec4<f32>(shape.eps)));
  moment1[i] = m;
  moment2[i] = v;
  master[i] = w;
#if ${average}
  average[i] += (1.0 - step[3]) * (w - average[i]);
#endif
#if ${weight}
  weight[i] = to_${w}(w);
#endif
}
#include "lib/elements.wgsl"
