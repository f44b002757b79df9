// x ← a x̂ + b x + c (round u - u) + σ noise, for points on a chessboard: x̂ = E[x₀ | x], the exact denoiser, and u = p x + q x̂,
// the model's output, which is rounded to a type. A quad of x is two points.
#include "lib/types.wgsl"
#include "lib/normal.wgsl"
struct Step {
  a: f32, b: f32, c: f32, sigma: f32,
  p: f32, q: f32, cos: f32, sin: f32,
  alpha: f32, scale: f32, wide: f32, unused: f32, // half a cell in standard deviations, and one of these in units of x
  node: vec4<f32>, weight: vec4<f32>, offset: vec4<f32>, // Gauss and Legendre's rule where the noise is wide
}
@group(0) @binding(0) var<storage, read> steps: array<Step>;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> seed: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

// The middle of the first cell on both axes, and from one to the next.
struct Shape { elements: u32, each: u32, first_x: f32, first_y: f32, cell: f32 }
@group(0) @binding(4) var<uniform> shape: Shape;

// A distribution cut to some cells: its mass is `mass` e^`exponent`.
struct Cut { mass: vec4<f32>, exponent: vec4<f32>, mean: vec4<f32> }

// Where the cell is short against the noise, differences of erfc would cancel: it is summed. Both give the mean from the middle.
fn cut_wide(s: Step, beta: vec4<f32>) -> Cut {
  var mass = vec4<f32>();
  var moment = vec4<f32>();
#for i in 4
  let e#i = exp4_(beta * s.node[#i]);
  let i#i = 1.0 / e#i;
  mass += s.weight[#i] * (e#i + i#i);
  moment += s.offset[#i] * (e#i - i#i);
#endfor
  return Cut(mass, -0.5 * beta * beta, moment / mass);
}

// By erfc on both sides of the cell; where the middle of the distribution lies outside, both are divided by e^(-near²/2).
fn cut_narrow(s: Step, beta: vec4<f32>) -> Cut {
  let middle = abs(beta);
  let near = middle - s.alpha;
  let far = middle + s.alpha;
  let outside = near > vec4<f32>();
  let near2 = near * near * -0.5;
  let e_near = exp4_(select(near2, vec4<f32>(), outside));
  let e_far = exp4_(select(far * far * -0.5, -2.0 * s.alpha * middle, outside));
  let tail_near = e_near * erfcx4_(0.70710678 * abs(near));
  let tail_far = e_far * erfcx4_(0.70710678 * far);
  let mass = select(1.0 - 0.5 * (tail_near + tail_far), 0.5 * (tail_near - tail_far), outside);
  let mean = middle + 0.39894228 * (e_far - e_near) / mass;
  return Cut(mass, select(vec4<f32>(), near2, outside), s.scale * sign(beta) * mean);
}

// Each coordinate's distribution given x, cut to the cell with this middle.
fn cut(s: Step, x: vec4<f32>, middle: vec4<f32>) -> Cut {
  let beta = (x - middle * s.cos) / s.sin;
  var found: Cut;
  if (s.wide != 0.0) {
    found = cut_wide(s, beta);
  } else {
    found = cut_narrow(s, beta);
  }
  found.mean += middle;
  return found;
}

fn either(one: Cut, other: Cut) -> Cut {
  let exponent = max(one.exponent, other.exponent);
  let mass_one = one.mass * exp4_(one.exponent - exponent);
  let mass_other = other.mass * exp4_(other.exponent - exponent);
  let mass = mass_one + mass_other;
  return Cut(mass, exponent, (mass_one * one.mean + mass_other * other.mean) / mass);
}

// Both coordinates of a point at once.
fn both(axes: Cut) -> Cut {
  return Cut((axes.mass.xz * axes.mass.yw).xxyy, (axes.exponent.xz + axes.exponent.yw).xxyy, axes.mean);
}

// Filled are the cells whose column and row are both even or both odd: all eight of the board, or a quadrant's two.
fn denoised(s: Step, x: vec4<f32>) -> vec4<f32> {
  let first = vec4<f32>(shape.first_x, shape.first_y, shape.first_x, shape.first_y);
  var even = cut(s, x, first);
  var odd = cut(s, x, first + shape.cell);
#if ${whole}
  even = either(even, cut(s, x, first + 2.0 * shape.cell));
  odd = either(odd, cut(s, x, first + 3.0 * shape.cell));
#endif
  return either(both(even), both(odd)).mean;
}

#if ${bf16}
fn rounding_error(u: vec4<f32>, i: u32, now: u32) -> vec4<f32> {
  return from_bf16(to_bf16(u)) - u;
}
#elif ${f16}
// To 10 bits behind the first, ties to even; under 2^-14 to whole 2^-24.
fn rounding_error(u: vec4<f32>, i: u32, now: u32) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(u);
  let kept = (bits + 0xfffu + ((bits >> vec4<u32>(13u)) & vec4<u32>(1u))) & vec4<u32>(0xffffe000u);
  let small = round(u * 16777216.0) * 5.9604644775390625e-8;
  return select(bitcast<vec4<f32>>(kept), small, abs(u) < vec4<f32>(6.103515625e-5)) - u;
}
#elif ${f32}
// What f32 rounds away is below f32: it is drawn, even within half a spacing either way, as rounding leaves it.
fn rounding_error(u: vec4<f32>, i: u32, now: u32) -> vec4<f32> {
  let spacing = bitcast<vec4<f32>>(bitcast<vec4<u32>>(u) & vec4<u32>(0x7f800000u)) * 1.1920928955078125e-7;
  let bits = philox(vec4<u32>(i, ${rounding_stream}u, now, 0u), vec2<u32>(seed[0], seed[1]));
  return spacing * (vec4<f32>(bits >> vec4<u32>(8u)) * 5.9604644775390625e-8 - 0.5);
}
#else
fn rounding_error(u: vec4<f32>, i: u32, now: u32) -> vec4<f32> {
  return vec4<f32>();
}
#endif

fn element(i: u32) {
  let now = step[0];
  let s = steps[now];
  let old = x[i];
  let clean = denoised(s, old);
  var next = s.a * clean + s.b * old + s.c * rounding_error(s.p * old + s.q * clean, i, now);
#if ${noisy}
  next += s.sigma * normals(vec4<u32>(i, ${noise_stream}u, now, 0u), vec2<u32>(seed[0], seed[1]));
#endif
  x[i] = next;
}
#include "lib/elements.wgsl"
