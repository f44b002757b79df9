// ids[position] = argmax(logits) at temperature 0, else a draw from softmax(logits / temperature) cut to its nucleus of
// mass top_p. One workgroup; each invocation has a run of neighbouring tokens.
#include "lib/math.wgsl"
#include "lib/random.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> position: array<u32>;
@group(0) @binding(2) var<storage, read> seed: array<u32>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;

struct Shape { vocab: u32, branch: u32, capacity: u32, stream: u32, temperature: f32, top_p: f32 }
@group(0) @binding(4) var<uniform> shape: Shape;

var<workgroup> best: array<vec2<u32>, ${lanes}>; // bits of the logit, token

// Weight of a token relative to the likeliest.
fn weight(logit: f32, top: f32) -> f32 {
  return exp_((logit - top) / shape.temperature);
}

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  let run = (shape.vocab + ${lanes}u - 1u) / ${lanes}u;
  let start = min(lane * run, shape.vocab);
  let end = min(start + run, shape.vocab);
  var top = -3.4e38;
  var token = start;
  for (var i = start; i < end; i++) {
    let l = logits[i];
    if (l > top) {
      top = l;
      token = i;
    }
  }
  best[lane] = vec2<u32>(bitcast<u32>(top), token);
  workgroupBarrier();
  for (var i = 0u; i < ${lanes}u; i++) {
    let other = best[i];
    if (bitcast<f32>(other.x) > top || (bitcast<f32>(other.x) == top && other.y < token)) {
      top = bitcast<f32>(other.x);
      token = other.y;
    }
  }
  let to = shape.branch * shape.capacity + position[shape.branch];
  if (shape.temperature == 0.0) {
    if (lane == 0u) {
      ids[to] = token;
    }
    return;
  }
  // The nucleus: the largest threshold under which the kept tokens still have mass top_p, by bisection.
  var own = 0.0;
  for (var i = start; i < end; i++) {
    own += weight(logits[i], top);
  }
  let total = workgroup_sum(own, lane);
  var low = 0.0;
  var high = 1.0;
  for (var step = 0u; step < 24u && shape.top_p < 1.0; step++) {
    let middle = 0.5 * (low + high);
    var kept = 0.0;
    for (var i = start; i < end; i++) {
      let w = weight(logits[i], top);
      kept += select(0.0, w, w >= middle);
    }
    if (workgroup_sum(kept, lane) >= shape.top_p * total) {
      low = middle;
    } else {
      high = middle;
    }
  }
  own = 0.0;
  for (var i = start; i < end; i++) {
    let w = weight(logits[i], top);
    own += select(0.0, w, w >= low);
  }
  partial[lane] = own;
  workgroupBarrier();
  if (lane != 0u) {
    return;
  }
  var mass = 0.0;
  for (var i = 0u; i < ${lanes}u; i++) {
    mass += partial[i];
  }
  let bits = philox(vec4<u32>(position[shape.branch], shape.stream, 0u, 0u), vec2<u32>(seed[0], seed[1]));
  var left = f32(bits.x >> 8u) * 5.9604644775390625e-8 * mass;
  var l = 0u;
  while (l < ${lanes}u - 1u && left >= partial[l]) {
    left -= partial[l];
    l++;
  }
  var drawn = token;
  for (var i = l * run; i < min((l + 1u) * run, shape.vocab); i++) {
    let w = weight(logits[i], top);
    if (w >= low && w > 0.0) {
      drawn = i;
      if (left < w) {
        break;
      }
      left -= w;
    }
  }
  ids[to] = drawn;
}
