// What two of sample_token's stages share: weights by powers of two, and the likeliest token of all chunks. The kernel binds
// `logits` and `peaks`.
const buckets = 25u;
const pitch = ${pitch}u; // from one chunk's masses to the next
var<private> first: u32; // token of the chunk

fn logit(token: u32) -> f32 {
  return logits[first + token];
}

// 0 has the weights from 1 on, b those from 2^-b to twice as much, the last all that are smaller.
fn bucket_of(weight: f32) -> u32 {
  return min(127u - min(127u, bitcast<u32>(weight) >> 23u), buckets - 1u);
}

fn highest(lane: u32) -> Likeliest {
  var top = Likeliest(-3.4e38, 0u);
  for (var c = lane; c < ${chunks}u; c += ${lanes}u) {
    top = likelier(top, Likeliest(bitcast<f32>(peaks[c].x), peaks[c].y));
  }
  return likeliest_of(top, lane);
}
