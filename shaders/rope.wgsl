// q, k ← rotary embedding at each token's position; q to its tensor, k and v to the cache. Pairs are (i, i + half), as in
// Qwen2: y[i] = x[i] cos θ - x[i+half] sin θ, y[i+half] = x[i+half] cos θ + x[i] sin θ, θ = position * inverse_frequency[i].
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> qkv: array<${x}x4>;
#if ${whole}
@group(0) @binding(1) var<storage, read> inverse_frequency: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> inverse_frequency: array<f32>;
#endif
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> q: array<${x}x4>;
@group(0) @binding(4) var<storage, read_write> k: array<${x}x4>;
@group(0) @binding(5) var<storage, read_write> v: array<${x}x4>;

struct Shape { elements: u32, each: u32, count: u32, branch: u32, heads: u32, kv_heads: u32, head_quads: u32, head_dim: u32, capacity: u32 }
@group(0) @binding(6) var<uniform> shape: Shape;

// Quad d of the rotated head that begins at `first_quad`.
#if ${whole}
fn rotated(first_quad: u32, d: u32, at: f32) -> vec4<f32> {
  let half = shape.head_quads / 2u;
  let i = select(d, d - half, d >= half);
  let angle = at * inverse_frequency[i];
#for n in 4
  let sc#n = sin_cos_(angle[#n]);
#endfor
  let s = vec4<f32>(sc0.x, sc1.x, sc2.x, sc3.x);
  let c = vec4<f32>(sc0.y, sc1.y, sc2.y, sc3.y);
  let a = from_${x}(qkv[first_quad + i]);
  let b = from_${x}(qkv[first_quad + i + half]);
  return select(a * c - b * s, b * c + a * s, d >= half);
}
#else
fn value(first_quad: u32, e: u32) -> f32 {
  return from_${x}(qkv[first_quad + e / 4u])[e % 4u];
}

fn rotated_element(first_quad: u32, e: u32, at: f32) -> f32 {
  let half = shape.head_dim / 2u;
  if (e >= shape.head_dim) {
    return 0.0;
  }
  let i = e % half;
  let sc = sin_cos_(at * inverse_frequency[i]);
  let a = value(first_quad, i);
  let b = value(first_quad, i + half);
  return select(a * sc.y - b * sc.x, b * sc.y + a * sc.x, e >= half);
}

fn rotated(first_quad: u32, d: u32, at: f32) -> vec4<f32> {
  let e = 4u * d;
  return vec4<f32>(rotated_element(first_quad, e, at), rotated_element(first_quad, e + 1u, at), rotated_element(first_quad, e + 2u, at), rotated_element(first_quad, e + 3u, at));
}
#endif

fn element(i: u32) {
  let row_quads = (shape.heads + 2u * shape.kv_heads) * shape.head_quads;
  let row = i / row_quads;
  // Not by %: a CPU divides vectors element by element.
  let quad = i - row * row_quads;
  let head = quad / shape.head_quads;
  let d = quad - head * shape.head_quads;
  let branch = row / shape.count;
  let b = branch + shape.branch;
  let at = position[b] + row - branch * shape.count;
  let cached = (b * shape.capacity + at) * shape.kv_heads * shape.head_quads;
  if (head >= shape.heads + shape.kv_heads) {
    v[cached + quad - (shape.heads + shape.kv_heads) * shape.head_quads] = qkv[i];
    return;
  }
  let first = i - d;
  let r = to_${x}(rotated(first, d, f32(at)));
  if (head < shape.heads) {
    q[row * shape.heads * shape.head_quads + quad] = r;
  } else {
    k[cached + quad - shape.heads * shape.head_quads] = r;
  }
}
#include "lib/elements.wgsl"
