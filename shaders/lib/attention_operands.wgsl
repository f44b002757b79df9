// What both kernels of attention bind.
@group(0) @binding(0) var<storage, read> q: array<${x}x4>;
@group(0) @binding(1) var<storage, read> k: array<${x}x4>;
@group(0) @binding(2) var<storage, read> v: array<${x}x4>;
@group(0) @binding(3) var<storage, read> position: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<${y}x4>;
#if ${terms}
@group(0) @binding(5) var<storage, read_write> row_terms: array<f32>; // the log of each softmax's sum, for the way back
#endif

struct Shape {
  count: u32, // queries of a branch
  branch: u32,
  group_size: u32, // heads that share a kv head
  causal: u32,
  q_pitch: u32,
  q_first: u32,
  k_pitch: u32,
  k_first: u32,
  v_first: u32,
  capacity: u32, // rows of k and v from one branch to the next
  y_pitch: u32,
  cached: u32, // whether keys before these queries are kept
  quads: u32, // of a head
  scale: f32,
  terms_pitch: u32,
  together: u32, // tokens that see each other, where it is not causal: some of them may be no queries
  chunks: u32, // of the keys, each a workgroup's
}
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;
