// Standard normal noise, a function of (counter, seed) alone: Box-Muller on the words of Philox. shaders/random.ts holds the
// same in TypeScript.
#include "math.wgsl"
#include "random.wgsl"

fn normal_pair(a: u32, b: u32) -> vec2<f32> {
  let u = f32((a >> 8u) + 1u) * 5.9604644775390625e-8; // (0, 1]
  let angle = f32(b >> 8u) * 5.9604644775390625e-8 * 6.2831853071795864; // [0, 2 pi)
  let sc = sin_cos_(angle);
  return sqrt(max(-2.0 * log_(u), 0.0)) * vec2<f32>(sc.y, sc.x);
}

fn normals(counter: vec4<u32>, seed: vec2<u32>) -> vec4<f32> {
  let bits = philox(counter, seed);
  return vec4<f32>(normal_pair(bits.x, bits.y), normal_pair(bits.z, bits.w));
}
