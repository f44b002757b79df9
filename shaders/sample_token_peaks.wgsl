// peaks[chunk] = (bits of the greatest logit, its token), a chunk of the vocabulary a workgroup. The first of sample_token's stages.
#include "lib/math.wgsl"
#include "lib/reduce.wgsl"
#include "lib/categorical.wgsl"
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> peaks: array<vec4<u32>>;

struct Shape { vocab: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

var<private> first: u32;

fn logit(token: u32) -> f32 {
  return logits[first + token];
}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  first = group.x * ${chunk}u;
  let top = likeliest(lane, min(${chunk}u, shape.vocab - first));
  if (lane == 0u) {
    peaks[group.x] = vec4<u32>(bitcast<u32>(top.logit), first + top.index, 0u, 0u);
  }
}
