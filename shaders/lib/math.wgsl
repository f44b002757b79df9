// exp, log, sin, cos, erfc of our own: WGSL's differ from adapter to adapter, these give the same bits wherever adds and
// multiplies are not fused. Compilers still reorder, so nothing here is written as (a + b) + constant, (a + b) - b,
// constant * (1 / a), (a / b) * b, a * b + a * c or a / constant (other than a power of two). The bounds are tested over
// the whole range (tests/shaders/math.test.ts), the bits in tests/shaders/same_bits.test.ts.

// i32(n) of a whole n, |n| < 2^22: it stands in the last bits of n + 1.5 * 2^23. Converted, it would be clamped, which
// lavapipe does thread by thread, in more instructions than the rest of an exponential.
fn whole_(n: f32) -> i32 {
  return bitcast<i32>(n + 12582912.0) - 0x4b400000;
}

// e^x: |relative error| < 2e-7; 0 under -87.3, the largest power of e that is finite over 88.7.
fn exp_(x: f32) -> f32 {
  let t = clamp(x, -87.3, 88.7);
  let n = floor(t * 1.44269504 + 0.5);
  let r = (t - n * 0.693359375) + n * 2.12194440e-4; // ln 2 in two parts, the first exact in n
  var p = 1.9875691500e-4;
  p = p * r + 1.3981999507e-3;
  p = p * r + 8.3334519073e-3;
  p = p * r + 4.1665795894e-2;
  p = p * r + 1.6666665459e-1;
  p = p * r + 5.0000001201e-1;
  let e = (p * r + 1.0) * r + 1.0;
  let whole = whole_(n);
  // 2^n in two factors, each in range.
  let half = whole / 2;
  let scaled = (e * bitcast<f32>(u32(half + 127) << 23u)) * bitcast<f32>(u32(whole - half + 127) << 23u);
  return select(scaled, 0.0, x < -87.3);
}

fn exp4_(v: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(exp_(v.x), exp_(v.y), exp_(v.z), exp_(v.w));
}

// Natural logarithm of a normal x > 0: |error| < 2e-7 max(1, |log x|).
fn log_(x: f32) -> f32 {
  let u = bitcast<u32>(x);
  // x = 2^n m with m in [sqrt(1/2), sqrt 2).
  let shifted = u + (0x3f800000u - 0x3f3504f3u);
  let n = f32(i32(shifted >> 23u) - 127);
  let m = bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u);
  let f = m - 1.0;
  let s = f / (2.0 + f);
  let z = s * s;
  let w = z * z;
  let r = z * (0.66666662693 + w * 0.28498786688) + w * (0.40000972152 + w * 0.24279078841);
  let h = 0.5 * f * f;
  return n * 0.693359375 + ((f - (h - s * (h + r))) - n * 2.12194440e-4);
}

// (sin x, cos x): |error| < 2e-7 up to |x| = 4096, < 2e-6 up to 32768, < 1e-5 up to 1e5; no use past that.
fn sin_cos_(x: f32) -> vec2<f32> {
  let n = floor(x * 0.63661977 + 0.5);
  let r = ((x - n * 1.5703125) - n * 4.8351287841796875e-4) - n * 3.1385570764541e-7; // pi/2 in three parts
  let z = r * r;
  let s = r + r * z * (-1.6666654611e-1 + z * (8.3321608736e-3 + z * -1.9515295891e-4));
  let c = 1.0 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5));
  let q = whole_(n) & 3;
  let swapped = select(vec2<f32>(s, c), vec2<f32>(c, s), (q & 1) == 1);
  return vec2<f32>(select(swapped.x, -swapped.x, q >= 2), select(swapped.y, -swapped.y, q == 1 || q == 2));
}

// (t, p) with 1 - erf z = t e^(p - z²), z from 0 up; a Chebyshev fit (Numerical Recipes, erfcc).
fn erfc_terms(z: f32) -> vec2<f32> {
  let u = 1.0 + 0.5 * z;
  let t = 1.0 / u;
  var p = 0.17087277 / u - 0.82215223;
  p = p * t + 1.48851587;
  p = p * t - 1.13520398;
  p = p * t + 0.27886807;
  p = p * t - 0.18628806;
  p = p * t + 0.09678418;
  p = p * t + 0.37409196;
  p = p * t + 1.00002368;
  return vec2<f32>(t, p * t - 1.26551223);
}

// 1 - erf x: |relative error| < 2e-6 up to x = 3, < 8e-6 up to 9 and constant from there on.
fn erfc_(x: f32) -> f32 {
  let z = min(abs(x), 9.0);
  let terms = erfc_terms(z);
  let e = terms.x * exp_(terms.y - z * z);
  return select(e, 2.0 - e, x < 0.0);
}

// e^(x²) (1 - erf x), x from 0 up: |relative error| < 5e-7.
fn erfcx_(x: f32) -> f32 {
  let terms = erfc_terms(x);
  return terms.x * exp_(terms.y);
}

fn erfcx4_(v: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(erfcx_(v.x), erfcx_(v.y), erfcx_(v.z), erfcx_(v.w));
}

fn none(v: vec4<f32>) -> vec4<f32> {
  return v;
}

// Exact GELU, x Φ(x): |relative error| < 6e-7 over -1, < 3e-6 over -5, < 2e-5 over -12; 0 under that, where it is < 3e-32.
fn gelu1(x: f32) -> f32 {
  return select(x * (0.5 * erfc_(-0.70710678 * x)), 0.0, x < -12.0);
}

fn gelu(v: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(gelu1(v.x), gelu1(v.y), gelu1(v.z), gelu1(v.w));
}

// SiLU, x / (1 + e^-x): |relative error| < 3e-7 over -87; 0 under that, where it is < 2e-36.
fn silu(v: vec4<f32>) -> vec4<f32> {
  return select(v / (vec4<f32>(1.0) + exp4_(-v)), vec4<f32>(), v < vec4<f32>(-87.0));
}

// The slope of GELU, Φ(x) + x φ(x): |error| < 1e-6.
fn gelu1_slope(x: f32) -> f32 {
  let z = clamp(x, -12.0, 12.0);
  return 0.5 * erfc_(-0.70710678 * z) + z * (0.39894228 * exp_(-0.5 * z * z));
}

fn gelu_slope(v: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(gelu1_slope(v.x), gelu1_slope(v.y), gelu1_slope(v.z), gelu1_slope(v.w));
}

// The slope of SiLU, σ (1 + x (1 - σ)) with σ = 1 / (1 + e^-x): |error| < 1e-6.
fn silu_slope(v: vec4<f32>) -> vec4<f32> {
  let z = clamp(v, vec4<f32>(-87.0), vec4<f32>(87.0));
  let e = exp4_(-z);
  let s = vec4<f32>(1.0) / (vec4<f32>(1.0) + e);
  return s * (vec4<f32>(1.0) + z * (s * e));
}
