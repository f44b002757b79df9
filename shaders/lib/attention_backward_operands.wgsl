// What both kernels of attention's way back read.
@group(0) @binding(0) var<storage, read> q: array<${x}x4>;
@group(0) @binding(1) var<storage, read> k: array<${x}x4>;
@group(0) @binding(2) var<storage, read> v: array<${x}x4>;
@group(0) @binding(3) var<storage, read> position: array<u32>;
@group(0) @binding(4) var<storage, read> dy: array<${x}x4>;
@group(0) @binding(5) var<storage, read> row_terms: array<f32>; // of each query and head: log Σ e^score, and y · dy

struct Shape {
  count: u32, // queries of a branch
  branch: u32,
  branches: u32,
  group_size: u32, // heads that share a kv head
  causal: u32,
  cached: u32, // whether keys before these queries are kept
  capacity: u32, // rows of k and v from one branch to the next
  q_pitch: u32,
  q_first: u32,
  k_pitch: u32,
  k_first: u32,
  v_first: u32,
  y_pitch: u32,
  terms_pitch: u32,
  // Where the gradients go.
  dq_pitch: u32,
  dk_pitch: u32,
  dk_first: u32,
  dv_first: u32,
  scale: f32,
}

// e^(score - log Σ e^score): what attention gave a key.
fn share(score: f32, all: f32) -> f32 {
  return exp_(clamp(score * shape.scale, -2.9e38, 2.9e38) - all);
}
