// Sampler steps of a small diffusion head, a few tokens a workgroup: h ← W' x + b', of each block h ← h + gate ⊙ W₂ silu(W₁
// LN(h)), u = W LN(h) + b, x ← a u + b x + c noise; to the bits of the layers' own kernels and denoise_step.wgsl in turn. For
// CPUs, which take longer to launch a kernel than to run it.
//
// A workgroup is one subgroup, and there is no barrier: a CPU's compiler keeps in memory what lives across one. Its rows come
// in bands; thread r holds row r of each band. In a product the threads sum columns instead, of all rows: the subgroup hands
// round what these hold, and each thread's sums back to those that hold their rows.
enable subgroups;
#include "lib/types.wgsl"
#include "lib/math.wgsl"
#include "lib/sampler_step.wgsl"
@group(0) @binding(0) var<storage, read> modulation: array<bf16x4>;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>; // W₁ and W₂ of each block, W, W', by eights
@group(0) @binding(2) var<storage, read> vectors: array<bf16x4>; // the norm's weight and bias, b₁, b₂ of each; b, b'
@group(0) @binding(3) var<storage, read> coefficients: array<vec4<f32>>; // a, b, c, step's noise row
@group(0) @binding(4) var<storage, read> step: array<u32>;
@group(0) @binding(5) var<storage, read> guidance: array<f32>;
#if ${noisy}
@group(0) @binding(6) var<storage, read> noise: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> chosen: array<u32>;
#endif
@group(0) @binding(${out}) var<storage, read_write> x: array<vec4<f32>>;

struct Shape {
  tokens: u32, // rows of a branch
  steps: u32,
  blocks: u32,
  width: u32, // in quads, of h, a block's inner layer, x: compilers unroll loops whose bounds they know
  inner: u32,
  channels: u32,
  eps: f32,
  pitch: u32, // of modulation
  noise_rows: u32,
}
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

// Of this thread's rows, a band behind the other: x, h, two quads an element what the products read, u.
var<private> now: array<vec4<f32>, ${bands} * ${channels}>;
var<private> h: array<bf16x4, ${bands} * ${width}>;
var<private> normed: array<vec4<u32>, ${bands} * ${width} / 2>;
var<private> hidden: array<vec4<u32>, ${bands} * ${inner} / 2>;
var<private> u: array<vec4<f32>, ${bands} * ${channels}>;

// Mean and 1 / √(variance + ε) of h from `begin` on, summed in the parts and the order of lib/reduce.wgsl's eight threads.
fn moments(begin: u32) -> vec2<f32> {
  let n = f32(4u * shape.width);
#for l in 8
  var s#l = vec4<f32>();
#endfor
  for (var i = 0u; i < shape.width; i += 8u) {
#for l in 8
    s#l += from_bf16(h[begin + i + #lu]);
#endfor
  }
#for l in 8
  let t#l = (s#l.x + s#l.y) + (s#l.z + s#l.w);
#endfor
  let mean = (((t0 + t4) + (t2 + t6)) + ((t1 + t5) + (t3 + t7))) / n;
#for l in 8
  var d#l = vec4<f32>();
#endfor
  for (var i = 0u; i < shape.width; i += 8u) {
#for l in 8
    let v#l = from_bf16(h[begin + i + #lu]) - mean;
    d#l += v#l * v#l;
#endfor
  }
#for l in 8
  let e#l = (d#l.x + d#l.y) + (d#l.z + d#l.w);
#endfor
  return vec2<f32>(mean, 1.0 / sqrt((((e0 + e4) + (e2 + e6)) + ((e1 + e5) + (e3 + e7))) / n + shape.eps));
}

// What the products read of this thread's row of a band, and what becomes of a quad of some row's sums and of two of this row's.
alias input_y = bf16x4;
fn input_even(band: u32, k: u32) -> vec4<f32> {
  return now[band * shape.channels + k];
}
fn input_odd(band: u32, k: u32) -> vec4<f32> {
  return now[band * shape.channels + k + 1u];
}
fn input_wide(v: vec4<f32>) -> vec4<f32> {
  return v;
}
fn input_finish(v: vec4<f32>, gate: u32) -> input_y {
  return to_bf16(v);
}
fn input_keep(band: u32, i: u32, even: input_y, odd: input_y) {
  let at = band * shape.width + i;
  h[at] = even;
  h[at + 1u] = odd;
}

alias up_y = bf16x4;
fn up_even(band: u32, k: u32) -> bf16x4 {
  return normed[(band * shape.width + k) / 2u].xy;
}
fn up_odd(band: u32, k: u32) -> bf16x4 {
  return normed[(band * shape.width + k) / 2u].zw;
}
fn up_wide(v: bf16x4) -> vec4<f32> {
  return from_bf16(v);
}
fn up_finish(v: vec4<f32>, gate: u32) -> up_y {
  return to_bf16(silu(v));
}
fn up_keep(band: u32, i: u32, even: up_y, odd: up_y) {
  hidden[(band * shape.inner + i) / 2u] = vec4<u32>(even, odd);
}

alias down_y = vec4<f32>;
fn down_even(band: u32, k: u32) -> bf16x4 {
  return hidden[(band * shape.inner + k) / 2u].xy;
}
fn down_odd(band: u32, k: u32) -> bf16x4 {
  return hidden[(band * shape.inner + k) / 2u].zw;
}
fn down_wide(v: bf16x4) -> vec4<f32> {
  return from_bf16(v);
}
fn down_finish(v: vec4<f32>, gate: u32) -> down_y {
  return v * from_bf16(modulation[gate]);
}
fn down_keep(band: u32, i: u32, even: down_y, odd: down_y) {
  let at = band * shape.width + i;
  h[at] = to_bf16(even + from_bf16(h[at]));
  h[at + 1u] = to_bf16(odd + from_bf16(h[at + 1u]));
}

alias final_y = vec4<f32>;
fn final_even(band: u32, k: u32) -> bf16x4 {
  return up_even(band, k);
}
fn final_odd(band: u32, k: u32) -> bf16x4 {
  return up_odd(band, k);
}
fn final_wide(v: bf16x4) -> vec4<f32> {
  return from_bf16(v);
}
fn final_finish(v: vec4<f32>, gate: u32) -> final_y {
  return v;
}
fn final_keep(band: u32, i: u32, even: final_y, odd: final_y) {
  if (i < shape.channels) {
    u[band * shape.channels + i] = even;
    u[band * shape.channels + i + 1u] = odd;
  }
}

// The token of a band's i-th row, the branches of each side by side, of a workgroup whose tokens begin at `first`, and the row.
fn token_of(first: u32, band: u32, i: u32) -> u32 {
  return first + band * ${tokens}u + i / ${branches}u;
}
fn row_of(first: u32, band: u32, i: u32) -> u32 {
  return min(token_of(first, band, i), shape.tokens - 1u) + i % ${branches}u * shape.tokens;
}

#for p in input up down final
// In quads: columns and depth, where W and b begin, and the gate of the first row's first column.
fn #p_product(columns: u32, depth: u32, begin: u32, bias: u32, gates: u32, first: u32, lane: u32) {
  for (var tile = 0u; tile < columns; tile += ${lanes}u) {
    let quad = min(tile + lane, columns - 1u);
#for n in 4
    let begin#n = begin + (4u * quad + #nu) * depth / 2u;
#endfor
#for b in ${bands}
#for i in ${rows}
    var c#b_#i = vec4<f32>();
#endfor
#endfor
    for (var k = 0u; k < depth; k += 2u) {
#for n in 4
      let w#n = weights[begin#n + k / 2u];
      let v#n = from_bf16(w#n.xy);
      let t#n = from_bf16(w#n.zw);
#endfor
#for b in ${bands}
      let even#b = #p_even(#bu, k);
      let odd#b = #p_odd(#bu, k);
#for i in ${rows}
      {
        let v = #p_wide(subgroupBroadcast(even#b, #iu));
        c#b_#i += v.x * vec4<f32>(v0.x, v1.x, v2.x, v3.x);
        c#b_#i += v.y * vec4<f32>(v0.y, v1.y, v2.y, v3.y);
        c#b_#i += v.z * vec4<f32>(v0.z, v1.z, v2.z, v3.z);
        c#b_#i += v.w * vec4<f32>(v0.w, v1.w, v2.w, v3.w);
        let t = #p_wide(subgroupBroadcast(odd#b, #iu));
        c#b_#i += t.x * vec4<f32>(t0.x, t1.x, t2.x, t3.x);
        c#b_#i += t.y * vec4<f32>(t0.y, t1.y, t2.y, t3.y);
        c#b_#i += t.z * vec4<f32>(t0.z, t1.z, t2.z, t3.z);
        c#b_#i += t.w * vec4<f32>(t0.w, t1.w, t2.w, t3.w);
      }
#endfor
#endfor
    }
    let b = from_bf16(vectors[bias + quad]);
#for b in ${bands}
#for i in ${rows}
    let y#b_#i = #p_finish(c#b_#i + b, gates + row_of(first, #bu, #iu) * shape.pitch + quad);
#endfor
#for j in ${pairs}
    {
      var even = #p_y();
      var odd = #p_y();
#for i in ${rows}
      even = select(even, subgroupBroadcast(y#b_#i, 2u * #ju), lane == #iu);
      odd = select(odd, subgroupBroadcast(y#b_#i, 2u * #ju + 1u), lane == #iu);
#endfor
      #p_keep(#bu, tile + 2u * #ju, even, odd);
    }
#endfor
#endfor
  }
}

#endfor
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = group.x * ${bands}u * ${tokens}u;
  let mine = min(lane, ${rows}u - 1u);
  let width = shape.width;
  let inner = shape.inner;
  let channels = shape.channels;
  let matrix = width * inner * 2u; // an element of `weights` has two quads, a row of a matrix four a quad of columns
  let final_weight = 2u * shape.blocks * matrix;
  let input_weight = final_weight + 2u * width * channels;
  let final_bias = shape.blocks * (3u * width + inner);
  for (var band = 0u; band < ${bands}u; band++) {
    let row = row_of(first, band, mine);
    for (var q = 0u; q < channels; q++) {
      now[band * channels + q] = x[row * channels + q];
    }
  }
  for (var s = 0u; s < shape.steps; s++) {
    let modulations = s * ${branches}u * shape.tokens * shape.pitch;

    input_product(width, channels, input_weight, final_bias + channels, 0u, first, lane);
    for (var block = 0u; block < shape.blocks; block++) {
      let affine = block * (3u * width + inner);
      for (var band = 0u; band < ${bands}u; band++) {
        let begin = band * width;
        let shift = modulations + row_of(first, band, mine) * shape.pitch + 3u * block * width;
        let m = moments(begin);
        for (var i = 0u; i < width; i += 2u) {
#for j in 2
          var v#j = (from_bf16(h[begin + i + #ju]) - m.x) * m.y;
          v#j = v#j * from_bf16(vectors[affine + i + #ju]) + from_bf16(vectors[affine + width + i + #ju]);
          v#j = v#j * (1.0 + from_bf16(modulation[shift + width + i + #ju])) + from_bf16(modulation[shift + i + #ju]);
#endfor
          normed[(begin + i) / 2u] = vec4<u32>(to_bf16(v0), to_bf16(v1));
        }
      }
      let b1 = affine + 2u * width;
      up_product(inner, width, 2u * block * matrix, b1, 0u, first, lane);
      let gates = modulations + (3u * block + 2u) * width;
      down_product(width, inner, (2u * block + 1u) * matrix, b1 + inner, gates, first, lane);
    }

    for (var band = 0u; band < ${bands}u; band++) {
      let begin = band * width;
      let shift = modulations + row_of(first, band, mine) * shape.pitch + 3u * shape.blocks * width;
      let m = moments(begin);
      for (var i = 0u; i < width; i += 2u) {
#for j in 2
        var v#j = (from_bf16(h[begin + i + #ju]) - m.x) * m.y;
        v#j = v#j * (1.0 + from_bf16(modulation[shift + width + i + #ju])) + from_bf16(modulation[shift + i + #ju]);
#endfor
        normed[(begin + i) / 2u] = vec4<u32>(to_bf16(v0), to_bf16(v1));
      }
    }
    final_product(channels, width, final_weight, final_bias, 0u, first, lane);

    let coefficient = coefficients[step[0] + s];
    for (var band = 0u; band < ${bands}u; band++) {
      for (var q = 0u; q < channels; q++) {
        let at = band * channels + q;
        var v = u[at];
#if ${guides}
        var both = vec4<f32>();
#for t in ${tokens}
        {
          let g = guided(subgroupBroadcast(v, 2u * #tu), subgroupBroadcast(v, 2u * #tu + 1u), guidance[0]);
          both = select(both, g, mine / 2u == #tu);
        }
#endfor
        v = both;
#endif
        v = stepped(coefficient, v, now[at]);
#if ${noisy}
        if (coefficient.z != 0.0) {
          let token = min(token_of(first, band, mine), shape.tokens - 1u);
          v += coefficient.z * noise[(u32(coefficient.w) * shape.noise_rows + chosen[token]) * channels + q];
        }
#endif
        now[at] = v;
      }
    }
  }
  for (var band = 0u; band < ${bands}u; band++) {
    if (lane < ${rows}u && token_of(first, band, lane) < shape.tokens) {
      let row = row_of(first, band, lane);
      for (var q = 0u; q < channels; q++) {
        x[row * channels + q] = now[band * channels + q];
      }
    }
  }
}
