// Sampler steps of a small diffusion head, a few tokens a workgroup: h ← W' x + b', of each block h ← h + gate ⊙ W₂ silu(W₁
// LN(h)), u = W LN(h) + b, x ← a u + b x + c noise; to the bits of the layers' own kernels and denoise_step.wgsl in turn. For
// CPUs, which take longer to launch a kernel than to run it.
//
// A workgroup is one subgroup, and there is no barrier: a CPU's compiler keeps in memory what lives across one. Its rows come
// in bands; thread r holds row r of each band. In a product the threads sum columns instead, of all rows: the subgroup hands
// round what these hold, and each thread's sums back to those that hold their rows. One loop takes all layers and one all rows
// of a sum, since CPUs compile for longer than they draw: a branch for each lane of each access to memory that is written out.
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
  bands: u32,
  rows: u32, // of a band
  turns: u32,
  givers: u32, // threads side by side in a turn
  parts: u32, // of a sum over a row: eight
}
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

// Of this thread's rows, a band behind the other: x, h, what the layers within read (normed h, then the inner layer), u.
var<private> now: array<vec4<f32>, ${bands} * ${channels}>;
var<private> h: array<bf16x4, ${bands} * ${width}>;
var<private> within: array<bf16x4, ${bands} * (${width} + ${inner})>;
var<private> u: array<vec4<f32>, ${bands} * ${channels}>;

// Of this thread's column quad: all rows' sums.
var<private> sums: array<vec4<f32>, ${bands} * ${rows}>;

// Parts of a sum over a row.
var<private> parts: array<f32, 8>;

// Of h less `less` from `begin` on, the sum or that of squares, in the parts and the order of lib/reduce.wgsl's eight threads.
fn sum_of_h(begin: u32, less: f32, squares: bool) -> f32 {
  for (var l = 0u; l < shape.parts; l++) {
    var s = vec4<f32>();
    for (var i = l; i < shape.width; i += shape.parts) {
      let v = from_bf16(h[begin + i]) - less;
      s += select(v, v * v, squares);
    }
    parts[l] = (s.x + s.y) + (s.z + s.w);
  }
  return ((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

// Mean and 1 / √(variance + ε).
fn moments(begin: u32) -> vec2<f32> {
  let n = f32(4u * shape.width);
  let mean = sum_of_h(begin, 0.0, false) / n;
  return vec2<f32>(mean, 1.0 / sqrt(sum_of_h(begin, mean, true) / n + shape.eps));
}

// The layers, each one product: the input projection, a block's W₁ and W₂, the final layer.
const layer_in = 0u;
const layer_up = 1u;
const layer_down = 2u;
const layer_out = 3u;

// The token of a band's i-th row, the branches of each side by side, of a workgroup whose tokens begin at `first`, and the row.
fn token_of(first: u32, band: u32, i: u32) -> u32 {
  return first + band * ${tokens}u + i / ${branches}u;
}
fn row_of(first: u32, band: u32, i: u32) -> u32 {
  return min(token_of(first, band, i), shape.tokens - 1u) + i % ${branches}u * shape.tokens;
}

// Normed and modulated h of this thread's rows, into what the layers within read.
fn norm(affine: u32, shifts: u32, has_affine: bool, first: u32, mine: u32) {
  let width = shape.width;
  for (var band = 0u; band < shape.bands; band++) {
    let begin = band * width;
    let into = band * (width + shape.inner);
    let shift = shifts + row_of(first, band, mine) * shape.pitch;
    let m = moments(begin);
    for (var i = 0u; i < width; i++) {
      var v = (from_bf16(h[begin + i]) - m.x) * m.y;
      if (has_affine) {
        v = v * from_bf16(vectors[affine + i]) + from_bf16(vectors[affine + width + i]);
      }
      v = v * (1.0 + from_bf16(modulation[shift + width + i])) + from_bf16(modulation[shift + i]);
      within[into + i] = to_bf16(v);
    }
  }
}

// A layer's product: what it is; in quads its columns and depth, and where W, b and what it reads begin.
struct Product {
  kind: u32,
  columns: u32,
  depth: u32,
  begin: u32,
  bias: u32,
  source: u32,
}

// `gates` is where the gate of the first row's first column stands.
fn product(p: Product, gates: u32, first: u32, lane: u32) {
  let bands = shape.bands;
  let rows = shape.rows;
  let width = shape.width;
  let pitch = width + shape.inner;
  let channels = shape.channels;
  for (var tile = 0u; tile < p.columns; tile += ${lanes}u) {
    let quad = min(tile + lane, p.columns - 1u);
#for n in 4
    let begin#n = p.begin + (4u * quad + #nu) * p.depth / 2u;
#endfor
    if (p.kind == layer_in) { // little work: code that is short
      for (var i = 0u; i < bands * rows; i++) {
        sums[i] = vec4<f32>();
      }
      for (var k = 0u; k < p.depth; k++) {
#for n in 4
        let both#n = weights[begin#n + k / 2u];
        let v#n = from_bf16(select(both#n.xy, both#n.zw, k % 2u == 1u));
#endfor
        for (var i = 0u; i < bands * rows; i++) {
          let v = subgroupShuffle(now[i / rows * channels + k], i % rows);
          var c = sums[i];
          c += v.x * vec4<f32>(v0.x, v1.x, v2.x, v3.x);
          c += v.y * vec4<f32>(v0.y, v1.y, v2.y, v3.y);
          c += v.z * vec4<f32>(v0.z, v1.z, v2.z, v3.z);
          c += v.w * vec4<f32>(v0.w, v1.w, v2.w, v3.w);
          sums[i] = c;
        }
      }
    } else {
#for b in ${bands}
#for i in ${rows}
      var c#b_#i = vec4<f32>();
#endfor
#endfor
      for (var k = 0u; k < p.depth; k += 2u) {
#for n in 4
        let w#n = weights[begin#n + k / 2u];
        let v#n = from_bf16(w#n.xy);
        let t#n = from_bf16(w#n.zw);
#endfor
#for b in ${bands}
        let even#b = within[#bu * pitch + p.source + k];
        let odd#b = within[#bu * pitch + p.source + k + 1u];
#for i in ${rows}
        {
          let v = from_bf16(subgroupBroadcast(even#b, #iu));
          c#b_#i += v.x * vec4<f32>(v0.x, v1.x, v2.x, v3.x);
          c#b_#i += v.y * vec4<f32>(v0.y, v1.y, v2.y, v3.y);
          c#b_#i += v.z * vec4<f32>(v0.z, v1.z, v2.z, v3.z);
          c#b_#i += v.w * vec4<f32>(v0.w, v1.w, v2.w, v3.w);
          let t = from_bf16(subgroupBroadcast(odd#b, #iu));
          c#b_#i += t.x * vec4<f32>(t0.x, t1.x, t2.x, t3.x);
          c#b_#i += t.y * vec4<f32>(t0.y, t1.y, t2.y, t3.y);
          c#b_#i += t.z * vec4<f32>(t0.z, t1.z, t2.z, t3.z);
          c#b_#i += t.w * vec4<f32>(t0.w, t1.w, t2.w, t3.w);
        }
#endfor
#endfor
      }
#for b in ${bands}
#for i in ${rows}
      sums[#bu * ${rows}u + #iu] = c#b_#i;
#endfor
#endfor
    }
    let b = from_bf16(vectors[p.bias + quad]);
    for (var band = 0u; band < bands; band++) {
      // In turn some threads side by side hand on the sums of another row, until each row's thread has its row's from all.
      for (var turn = 0u; turn < shape.turns; turn++) {
        let row = min((lane / ${givers}u + ${turns}u - turn) % ${turns}u, rows - 1u);
        var y = sums[band * rows + row] + b;
        if (p.kind == layer_up) {
          y = silu(y);
        } else if (p.kind == layer_down) {
          y *= from_bf16(modulation[gates + row_of(first, band, row) * shape.pitch + quad]);
        }
        for (var j = 0u; j < shape.givers; j++) {
          let giver = (lane + turn) % ${turns}u * ${givers}u + j;
          let q = tile + giver;
          let at = band * width + q;
          let v = subgroupShuffle(y, giver);
          if (p.kind == layer_up) {
            within[band * pitch + width + q] = to_bf16(v);
          } else if (p.kind == layer_down) {
            h[at] = to_bf16(v + from_bf16(h[at]));
          } else if (p.kind == layer_in) {
            h[at] = to_bf16(v);
          } else if (q < p.columns) {
            u[band * channels + q] = v;
          }
        }
      }
    }
  }
}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = group.x * ${bands}u * ${tokens}u;
  let mine = min(lane, ${rows}u - 1u);
  let width = shape.width;
  let inner = shape.inner;
  let channels = shape.channels;
  let matrix = width * inner * 2u; // an element of `weights` has two quads, a row of a matrix four a quad of columns
  let input_weight = 2u * shape.blocks * matrix + 2u * width * channels;
  let last = 2u * shape.blocks + 1u;
  let final_bias = shape.blocks * (3u * width + inner);
  for (var band = 0u; band < ${bands}u; band++) {
    let row = row_of(first, band, mine);
    for (var q = 0u; q < channels; q++) {
      now[band * channels + q] = x[row * channels + q];
    }
  }
  for (var s = 0u; s < shape.steps; s++) {
    let modulations = s * ${branches}u * shape.tokens * shape.pitch;

    for (var layer = 0u; layer <= last; layer++) {
      let block = (max(layer, 1u) - 1u) / 2u;
      let affine = block * (3u * width + inner);
      let biases = affine + 2u * width;
      let shifts = modulations + 3u * block * width;
      let weight = (max(layer, 1u) - 1u) * matrix;
      if (layer % 2u == 1u) {
        norm(affine, shifts, layer != last, first, mine);
      }
      var p = Product(layer_down, width, inner, weight, biases + inner, width);
      if (layer == 0u) {
        p = Product(layer_in, width, channels, input_weight, final_bias + channels, 0u);
      } else if (layer == last) {
        p = Product(layer_out, channels, width, weight, final_bias, 0u);
      } else if (layer % 2u == 1u) {
        p = Product(layer_up, inner, width, weight, biases, 0u);
      }
      product(p, shifts + 2u * width, first, lane);
    }

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
