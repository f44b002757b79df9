// masses[chunk][b] = the sum of the weights e^((l - top) / temperature) in [2^-b, 2^(1-b)) of a chunk of the vocabulary, a chunk a
// workgroup; the last b has all smaller ones. The second of sample_token's stages: the nucleus ends within one of these.
#include "lib/math.wgsl"
#include "lib/reduce.wgsl"
#include "lib/categorical.wgsl"
#include "lib/sample_token.wgsl"
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> peaks: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> sampling: array<f32>; // temperature, top_p
@group(0) @binding(3) var<storage, read_write> masses: array<f32>;

struct Shape { vocab: u32 }
@group(0) @binding(4) var<uniform> shape: Shape;

var<workgroup> sums: array<f32, buckets * ${lanes}u>;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let temperature = sampling[0];
  if (temperature == 0.0) {
    return;
  }
  let top = highest(lane);
  for (var b = 0u; b < buckets; b++) {
    sums[b * ${lanes}u + lane] = 0.0;
  }
  first = group.x * ${chunk}u;
  let end = min(${chunk}u, shape.vocab - first);
  for (var i = lane; i < end; i += ${lanes}u) {
    let w = weight(i, top.logit, temperature);
    sums[bucket_of(w) * ${lanes}u + lane] += w;
  }
  workgroupBarrier();
  for (var b = lane; b < buckets; b += ${lanes}u) {
    var sum = 0.0;
    for (var l = 0u; l < ${lanes}u; l++) {
      sum += sums[b * ${lanes}u + l];
    }
    masses[group.x * pitch + b] = sum;
  }
}
