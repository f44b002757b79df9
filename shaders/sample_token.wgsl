// ids[position] = argmax(logits) at temperature 0, else a draw from softmax(logits / temperature) cut to its nucleus of mass
// top_p. One workgroup, after the stages that read all logits: it reads but those chunks of the vocabulary that have tokens
// near the end of the nucleus, and the one that is drawn from.
#include "lib/math.wgsl"
#include "lib/reduce.wgsl"
#include "lib/categorical.wgsl"
#include "lib/sample_token.wgsl"
#include "lib/random.wgsl"
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> peaks: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> masses: array<f32>;
@group(0) @binding(3) var<storage, read> position: array<u32>;
@group(0) @binding(4) var<storage, read> seed: array<u32>;
@group(0) @binding(5) var<storage, read> sampling: array<f32>; // temperature, top_p
@group(0) @binding(6) var<storage, read_write> ids: array<u32>;

struct Shape { vocab: u32, branch: u32, capacity: u32, stream: u32 }
@group(0) @binding(7) var<uniform> shape: Shape;

var<workgroup> mass: array<f32, buckets>;
var<workgroup> kept: array<f32, ${chunks}>; // mass of each chunk within the nucleus
var<workgroup> near: array<u32, ${chunks}>; // chunks with tokens of the last bucket of the nucleus, `near_count` of them
var<workgroup> near_count: u32;
var<workgroup> bisections: u32;
var<workgroup> drawn_chunk: u32;
var<workgroup> drawn_share: f32;

// One invocation's share of the mass of a chunk's tokens whose weight is at least `low`, in a bucket.
fn mass_of(chunk: u32, bucket: u32, low: f32, top: f32, temperature: f32, lane: u32) -> f32 {
  first = chunk * ${chunk}u;
  let end = min(${chunk}u, shape.vocab - first);
  var sum = 0.0;
  for (var i = lane; i < end; i += ${lanes}u) {
    let w = weight(i, top, temperature);
    sum += select(0.0, w, bucket_of(w) == bucket && w >= low);
  }
  return sum;
}

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  let temperature = sampling[0];
  let top_p = sampling[1];
  let top = highest(lane);
  let to = shape.branch * shape.capacity + position[shape.branch];
  if (temperature == 0.0) {
    if (lane == 0u) {
      ids[to] = top.index;
    }
    return;
  }
  for (var b = lane; b < buckets; b += ${lanes}u) {
    var sum = 0.0;
    for (var c = 0u; c < ${chunks}u; c++) {
      sum += masses[c * pitch + b];
    }
    mass[b] = sum;
  }
  workgroupBarrier();
  // The nucleus: the largest threshold under which the kept tokens still have mass top_p. First its power of two, ...
  var total = 0.0;
  for (var b = 0u; b < buckets; b++) {
    total += mass[b];
  }
  var above = 0.0;
  var last = 0u;
  while (last < buckets - 1u && above + mass[last] < top_p * total) {
    above += mass[last];
    last++;
  }
  for (var c = lane; c < ${chunks}u; c += ${lanes}u) {
    near[c] = u32(masses[c * pitch + last] > 0.0);
  }
  workgroupBarrier();
  if (lane == 0u) {
    var n = 0u;
    for (var c = 0u; c < ${chunks}u; c++) {
      if (near[c] == 1u) {
        near[n] = c;
        n++;
      }
    }
    near_count = n;
    bisections = select(24u, 0u, last == 0u); // the first bucket's weights are all 1
  }
  let count = workgroupUniformLoad(&near_count);
  let steps = workgroupUniformLoad(&bisections);
  // ... then by bisection.
  var low = 0.0;
  if (top_p < 1.0) {
    low = select(bitcast<f32>((127u - last) << 23u), 0.0, last == buckets - 1u);
    var high = bitcast<f32>((128u - last) << 23u);
    for (var step = 0u; step < steps; step++) {
      let middle = 0.5 * (low + high);
      var sum = 0.0;
      for (var n = 0u; n < count; n++) {
        sum += mass_of(near[n], last, middle, top.logit, temperature, lane);
      }
      if (above + workgroup_sum(sum, lane) >= top_p * total) {
        low = middle;
      } else {
        high = middle;
      }
    }
  }
  // The mass of each chunk.
  for (var c = lane; c < ${chunks}u; c += ${lanes}u) {
    var sum = 0.0;
    for (var b = 0u; b < select(last, buckets, top_p >= 1.0); b++) {
      sum += masses[c * pitch + b];
    }
    kept[c] = sum;
  }
  if (top_p < 1.0) {
    for (var n = 0u; n < count; n++) {
      let sum = workgroup_sum(mass_of(near[n], last, low, top.logit, temperature, lane), lane);
      if (lane == 0u) {
        kept[near[n]] += sum;
      }
    }
  }
  workgroupBarrier();
  if (lane == 0u) {
    let bits = philox(vec4<u32>(position[shape.branch], shape.stream, 0u, 0u), vec2<u32>(seed[0], seed[1]));
    var all = 0.0;
    for (var c = 0u; c < ${chunks}u; c++) {
      all += kept[c];
    }
    var left = f32(bits.x >> 8u) * 5.9604644775390625e-8 * all;
    var chunk = top.index / ${chunk}u;
    for (var c = 0u; c < ${chunks}u; c++) {
      if (kept[c] > 0.0) {
        chunk = c;
        if (left < kept[c]) {
          break;
        }
        left -= kept[c];
      }
    }
    drawn_chunk = chunk;
    drawn_share = min(1.0, left / kept[chunk]);
  }
  let chunk = workgroupUniformLoad(&drawn_chunk);
  let share = workgroupUniformLoad(&drawn_share);
  first = chunk * ${chunk}u;
  let within = Likeliest(top.logit, select(peaks[chunk].y, top.index, chunk == top.index / ${chunk}u) - first);
  let drawn = first + class_at(share, within, temperature, low, lane, min(${chunk}u, shape.vocab - first));
  if (lane == 0u) {
    ids[to] = drawn;
  }
}
