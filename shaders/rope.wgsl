// q, k ← rotary embedding at each token's position; q to its tensor, k and v to the cache. Pairs are (i, i + half), as in
// Qwen2: y[i] = x[i] cos θ - x[i+half] sin θ, y[i+half] = x[i+half] cos θ + x[i] sin θ, θ = position * inverse_frequency[i].
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> qkv: array<${x}x4>;
@group(0) @binding(1) var<storage, read> inverse_frequency: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> q: array<${x}x4>;
@group(0) @binding(4) var<storage, read_write> k: array<${x}x4>;
@group(0) @binding(5) var<storage, read_write> v: array<${x}x4>;

struct Shape { count: u32, branch: u32, rows: u32, heads: u32, kv_heads: u32, head_quads: u32, head_dim: u32, capacity: u32 }
@group(0) @binding(6) var<uniform> shape: Shape;

fn element(first_quad: u32, e: u32) -> f32 {
  return from_${x}(qkv[first_quad + e / 4u])[e % 4u];
}

// One element of the rotated head that begins at `first_quad`.
fn rotated(first_quad: u32, e: u32, at: f32) -> f32 {
  let half = shape.head_dim / 2u;
  if (e >= shape.head_dim) {
    return 0.0;
  }
  let i = e % half;
  let sc = sin_cos_(at * inverse_frequency[i]);
  let a = element(first_quad, i);
  let b = element(first_quad, i + half);
  return select(a * sc.y - b * sc.x, b * sc.y + a * sc.x, e >= half);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 32u + lane;
  let row_quads = (shape.heads + 2u * shape.kv_heads) * shape.head_quads;
  let row = i / row_quads;
  if (row >= shape.rows) {
    return;
  }
  let quad = i % row_quads;
  let head = quad / shape.head_quads;
  let d = quad % shape.head_quads;
  let b = row / shape.count + shape.branch;
  let at = position[b] + row % shape.count;
  let cached = (b * shape.capacity + at) * shape.kv_heads * shape.head_quads;
  if (head >= shape.heads + shape.kv_heads) {
    v[cached + quad - (shape.heads + shape.kv_heads) * shape.head_quads] = qkv[i];
    return;
  }
  let first = i - d;
  let t = f32(at);
  let r = to_${x}(vec4<f32>(rotated(first, 4u * d, t), rotated(first, 4u * d + 1u, t), rotated(first, 4u * d + 2u, t), rotated(first, 4u * d + 3u, t)));
  if (head < shape.heads) {
    q[row * shape.heads * shape.head_quads + quad] = r;
  } else {
    k[cached + quad - shape.heads * shape.head_quads] = r;
  }
}
