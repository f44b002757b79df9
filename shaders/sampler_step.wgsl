// x ← a u + b x + c noise, u = u_uncond + ω (u_cond - u_uncond): one step of Eq. 16 or of the DDPM posterior, in f32, with
// guidance inside. The coefficients of a step and its noise are rows of tables.
#include "lib/sampler_step.wgsl"
@group(0) @binding(0) var<storage, read> u: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> coefficients: array<vec4<f32>>; // a, b, c, step's noise row
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read> guidance: array<f32>;
@group(0) @binding(4) var<storage, read> noise: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> chosen: array<u32>;
@group(0) @binding(6) var<storage, read_write> x: array<vec4<f32>>;

struct Shape { elements: u32, each: u32, row_quads: u32, branches: u32, offset: u32, noise_rows: u32 }
@group(0) @binding(7) var<uniform> shape: Shape;

fn element(i: u32) {
  let now = step[0] + shape.offset;
  let k = coefficients[now];
  var v = u[i];
  if (shape.branches == 2u) {
    v = guided(v, u[shape.elements + i], guidance[0]);
  }
  var next = stepped(k, v, x[i]);
  if (k.z != 0.0) {
    let row = u32(k.w) * shape.noise_rows + chosen[i / shape.row_quads];
    next += k.z * noise[row * shape.row_quads + i % shape.row_quads];
  }
  x[i] = next;
  // Both branches start the next step from the same x.
  if (shape.branches == 2u) {
    x[shape.elements + i] = next;
  }
}
#include "lib/elements.wgsl"
