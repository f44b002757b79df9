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

struct Shape { rows: u32, row_quads: u32, branches: u32, offset: u32, noise_rows: u32 }
@group(0) @binding(7) var<uniform> shape: Shape;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let size = shape.rows * shape.row_quads;
  if (id.x >= size) {
    return;
  }
  let now = step[0] + shape.offset;
  let k = coefficients[now];
  var v = u[id.x];
  if (shape.branches == 2u) {
    v = guided(v, u[size + id.x], guidance[0]);
  }
  var next = stepped(k, v, x[id.x]);
  if (k.z != 0.0) {
    let row = u32(k.w) * shape.noise_rows + chosen[id.x / shape.row_quads];
    next += k.z * noise[row * shape.row_quads + id.x % shape.row_quads];
  }
  x[id.x] = next;
  // Both branches start the next step from the same x.
  if (shape.branches == 2u) {
    x[size + id.x] = next;
  }
}
