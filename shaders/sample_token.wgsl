// ids[position] = argmax(logits) at temperature 0, else a draw from softmax(logits / temperature) cut to its nucleus of
// mass top_p. One workgroup.
#include "lib/math.wgsl"
#include "lib/reduce.wgsl"
#include "lib/categorical.wgsl"
#include "lib/random.wgsl"
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> position: array<u32>;
@group(0) @binding(2) var<storage, read> seed: array<u32>;
@group(0) @binding(3) var<storage, read> sampling: array<f32>; // temperature, top_p
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;

struct Shape { vocab: u32, branch: u32, capacity: u32, stream: u32 }
@group(0) @binding(5) var<uniform> shape: Shape;

fn logit(token: u32) -> f32 {
  return logits[token];
}

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  let temperature = sampling[0];
  let top_p = sampling[1];
  let top = likeliest(lane, shape.vocab);
  let to = shape.branch * shape.capacity + position[shape.branch];
  if (temperature == 0.0) {
    if (lane == 0u) {
      ids[to] = top.index;
    }
    return;
  }
  // The nucleus: the largest threshold under which the kept tokens still have mass top_p, by bisection.
  let total = workgroup_sum(weights_of(lane, shape.vocab, top.logit, temperature, 0.0), lane);
  var low = 0.0;
  var high = 1.0;
  for (var step = 0u; step < 24u && top_p < 1.0; step++) {
    let middle = 0.5 * (low + high);
    if (workgroup_sum(weights_of(lane, shape.vocab, top.logit, temperature, middle), lane) >= top_p * total) {
      low = middle;
    } else {
      high = middle;
    }
  }
  let bits = philox(vec4<u32>(position[shape.branch], shape.stream, 0u, 0u), vec2<u32>(seed[0], seed[1]));
  let drawn = class_at(f32(bits.x >> 8u) * 5.9604644775390625e-8, top, temperature, low, lane, shape.vocab);
  if (lane == 0u) {
    ids[to] = drawn;
  }
}
