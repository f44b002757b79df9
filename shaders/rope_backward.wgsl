// What leads back from rope: dq and the cache's dk turned back by each token's angle, dv as it is, side by side in dqkv. The
// rows of dk and dv that these tokens wrote become zero: what stood there before has no influence. A thread does a whole
// head, so that it alone reads what it clears.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> inverse_frequency: array<f32>;
@group(0) @binding(1) var<storage, read> position: array<u32>;
#if ${dq}
@group(0) @binding(${dq}) var<storage, read> dq: array<${x}x4>;
#endif
@group(0) @binding(${out}) var<storage, read_write> dqkv: array<${x}x4>;
@group(0) @binding(${dk}) var<storage, read_write> dk: array<${g}x4>;
@group(0) @binding(${dv}) var<storage, read_write> dv: array<${g}x4>;

struct Shape { elements: u32, each: u32, count: u32, branch: u32, heads: u32, kv_heads: u32, head_quads: u32, head_dim: u32, capacity: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

// An element of the gradient of a rotated head that begins at a quad of dq or dk.
fn turned(query: bool, first_quad: u32, e: u32) -> f32 {
  if (query) {
#if ${dq}
    return from_${x}(dq[first_quad + e / 4u])[e % 4u];
#else
    return 0.0; // nothing came back to these queries
#endif
  }
  return from_${g}(dk[first_quad + e / 4u])[e % 4u];
}

// That of the head before its rotation.
fn turned_back(query: bool, first_quad: u32, e: u32, at: f32) -> f32 {
  let half = shape.head_dim / 2u;
  if (e >= shape.head_dim) {
    return 0.0;
  }
  let i = e % half;
  let sc = sin_cos_(at * inverse_frequency[i]);
  let a = turned(query, first_quad, i);
  let b = turned(query, first_quad, i + half);
  return select(a * sc.y + b * sc.x, b * sc.y - a * sc.x, e >= half);
}

fn element(i: u32) {
  let row_heads = shape.heads + 2u * shape.kv_heads;
  let row = i / row_heads;
  let head = i % row_heads;
  let b = row / shape.count + shape.branch;
  let at = position[b] + row % shape.count;
  let cached = (b * shape.capacity + at) * shape.kv_heads;
  let to = i * shape.head_quads;
  if (head >= shape.heads + shape.kv_heads) {
    let begin = (cached + head - shape.heads - shape.kv_heads) * shape.head_quads;
    for (var d = 0u; d < shape.head_quads; d++) {
      dqkv[to + d] = to_${x}(from_${g}(dv[begin + d]));
      dv[begin + d] = to_${g}(vec4<f32>());
    }
    return;
  }
  let query = head < shape.heads;
  let begin = select(cached + head - shape.heads, row * shape.heads + head, query) * shape.head_quads;
  let t = f32(at);
  for (var d = 0u; d < shape.head_quads; d++) {
    let e = 4u * d;
    dqkv[to + d] = to_${x}(vec4<f32>(turned_back(query, begin, e, t), turned_back(query, begin, e + 1u, t), turned_back(query, begin, e + 2u, t), turned_back(query, begin, e + 3u, t)));
  }
  if (!query) {
    for (var d = 0u; d < shape.head_quads; d++) {
      dk[begin + d] = to_${g}(vec4<f32>());
    }
  }
}
#include "lib/elements.wgsl"
