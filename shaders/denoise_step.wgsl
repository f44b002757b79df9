// From one diffusion step to the next, a token a workgroup: u = W LN(h) + b of its row in each branch (the final layer), the
// sampler step x ← a u + b x + c noise, and h ← W' x + b' (the input projection), to the bits of layer_norm.wgsl, the matmul's
// kernels and sampler_step.wgsl one after another. So a step has three launches less, whose work is small.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
#include "lib/sampler_step.wgsl"
@group(0) @binding(0) var<storage, read> modulation: array<${x}x4>;
@group(0) @binding(1) var<storage, read> final_weight: array<${w}x4>;
@group(0) @binding(2) var<storage, read> final_bias: array<${w}x4>;
@group(0) @binding(3) var<storage, read> input_weight: array<${w}x4>;
@group(0) @binding(4) var<storage, read> input_bias: array<${w}x4>;
@group(0) @binding(5) var<storage, read> coefficients: array<vec4<f32>>; // a, b, c, step's noise row
@group(0) @binding(6) var<storage, read> step: array<u32>;
@group(0) @binding(7) var<storage, read> guidance: array<f32>;
#if ${noisy}
@group(0) @binding(8) var<storage, read> noise: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> chosen: array<u32>;
#endif
@group(0) @binding(${out}) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(${hidden}) var<storage, read_write> h: array<${x}x4>;

struct Shape {
  tokens: u32, // rows of a branch
  h_cols: u32,
  x_cols: u32,
  eps: f32,
  modulation_pitch: u32,
  shift: u32,
  scale: u32,
  offset: u32,
  noise_rows: u32,
}
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

const h_quads = ${width}u;
const x_quads = ${channels}u;
var<workgroup> normed: array<${x}x4, ${branches}u * h_quads>; // [branch][quad]
var<workgroup> next: array<vec4<f32>, x_quads>; // x of the next step, the same in each branch
#if ${split}
var<workgroup> sums: array<vec4<f32>, ${lanes}>;
#endif

// Of each `parts` threads that follow one another the first has their sum, as matmul_rows.wgsl adds up.
fn sum_of_parts(v: vec4<f32>, parts: u32, lane: u32) -> vec4<f32> {
#if ${split}
  sums[lane] = v;
  workgroupBarrier();
  for (var stride = parts / 2u; stride > 0u; stride >>= 1u) {
    if (lane % parts < stride) {
      sums[lane] += sums[lane + stride];
    }
    workgroupBarrier();
  }
  return sums[lane];
#else
  return v;
#endif
}

// Columns past the last are padding and must be zero.
fn only(v: vec4<f32>, quad: u32, cols: u32) -> vec4<f32> {
  return select(vec4<f32>(), v, vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(cols));
}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(${lane}) lane: u32) {
  let token = min(group.y * groups.x + group.x, shape.tokens - 1u);
  // Compilers unroll loops whose bounds they know, and run out of registers.
  let h_end = (shape.h_cols + 3u) / 4u;
  let x_end = (shape.x_cols + 3u) / 4u;
#for b in ${branches}
  {
    let r = token + #bu * shape.tokens;
    var s = vec4<f32>();
    for (var i = lane; i < h_end; i += ${lanes}u) {
      s += from_${x}(h[r * h_quads + i]);
    }
    let mean = workgroup_sum((s.x + s.y) + (s.z + s.w), lane) / f32(shape.h_cols);
    var d = vec4<f32>();
    for (var i = lane; i < h_end; i += ${lanes}u) {
      let v = only(from_${x}(h[r * h_quads + i]) - mean, i, shape.h_cols);
      d += v * v;
    }
    let inverse = 1.0 / sqrt(workgroup_sum((d.x + d.y) + (d.z + d.w), lane) / f32(shape.h_cols) + shape.eps);
    for (var i = lane; i < h_end; i += ${lanes}u) {
      let m = r * shape.modulation_pitch + i;
      var v = (from_${x}(h[r * h_quads + i]) - mean) * inverse;
      v = v * (1.0 + from_${x}(modulation[m + shape.scale])) + from_${x}(modulation[m + shape.shift]);
      normed[#bu * h_quads + i] = to_${x}(only(v, i, shape.h_cols));
    }
  }
#endfor
  workgroupBarrier();

  let now = step[0] + shape.offset;
  let coefficient = coefficients[now];
  for (var first = 0u; first < x_end; first += ${lanes}u / ${finalParts}u) {
    let quad = first + lane / ${finalParts}u;
#for n in 4
    let row#n = min(4u * quad + #nu, shape.x_cols - 1u) * h_quads;
#endfor
#for b in ${branches}
    var u#b = vec4<f32>();
#endfor
    for (var k = lane % ${finalParts}u; k < h_end; k += ${finalParts}u) {
#for n in 4
      let w#n = from_${w}(final_weight[row#n + k]);
#endfor
#for b in ${branches}
      {
        let v = from_${x}(normed[#bu * h_quads + k]);
        u#b += v.x * vec4<f32>(w0.x, w1.x, w2.x, w3.x);
        u#b += v.y * vec4<f32>(w0.y, w1.y, w2.y, w3.y);
        u#b += v.z * vec4<f32>(w0.z, w1.z, w2.z, w3.z);
        u#b += v.w * vec4<f32>(w0.w, w1.w, w2.w, w3.w);
      }
#endfor
    }
#for b in ${branches}
    u#b = sum_of_parts(u#b, ${finalParts}u, lane);
#endfor
    if (lane % ${finalParts}u == 0u && quad < x_quads) {
      let bias = from_${w}(final_bias[quad]);
#for b in ${branches}
      u#b = only(u#b, quad, shape.x_cols) + bias;
#endfor
#if ${guides}
      let u = guided(u0, u1, guidance[0]);
#else
      let u = u0;
#endif
      let at = token * x_quads + quad;
      var v = stepped(coefficient, u, x[at]);
#if ${noisy}
      if (coefficient.z != 0.0) {
        v += coefficient.z * noise[(u32(coefficient.w) * shape.noise_rows + chosen[token]) * x_quads + quad];
      }
#endif
      next[quad] = v;
#for b in ${branches}
      x[at + #bu * shape.tokens * x_quads] = v;
#endfor
    }
  }
  workgroupBarrier();

  for (var first = 0u; first < h_end; first += ${lanes}u / ${inputParts}u) {
    let quad = first + lane / ${inputParts}u;
#for n in 4
    let row#n = min(4u * quad + #nu, shape.h_cols - 1u) * x_quads;
#endfor
    var c = vec4<f32>();
    for (var k = lane % ${inputParts}u; k < x_end; k += ${inputParts}u) {
#for n in 4
      let w#n = from_${w}(input_weight[row#n + k]);
#endfor
      let v = next[k];
      c += v.x * vec4<f32>(w0.x, w1.x, w2.x, w3.x);
      c += v.y * vec4<f32>(w0.y, w1.y, w2.y, w3.y);
      c += v.z * vec4<f32>(w0.z, w1.z, w2.z, w3.z);
      c += v.w * vec4<f32>(w0.w, w1.w, w2.w, w3.w);
    }
    c = sum_of_parts(c, ${inputParts}u, lane);
    if (lane % ${inputParts}u == 0u && quad < h_quads) {
      let v = to_${x}(only(c, quad, shape.h_cols) + from_${w}(input_bias[quad]));
#for b in ${branches}
      h[(token + #bu * shape.tokens) * h_quads + quad] = v;
#endfor
    }
  }
}
