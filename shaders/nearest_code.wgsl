// codes[r] = argmin_c |x[r] - codebook[c]|², the lowest c of those that are equally near. One workgroup a row.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> codebook: array<${w}x4>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;

struct Shape { codes: u32, row_quads: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn codebook_row(code: u32) -> u32 {
  return code * shape.row_quads;
}
#include "lib/weights.wgsl"

var<workgroup> best: array<vec2<u32>, ${lanes}>; // bits of the distance, code

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var nearest = 3.4e38;
  var code = shape.codes;
  for (var c = lane; c < shape.codes; c += ${lanes}u) {
    var distance = 0.0;
    for (var q = 0u; q < shape.row_quads; q++) {
      let d = x[group.x * shape.row_quads + q] - load_codebook(codebook_row(c) + q);
      let square = d * d;
      distance += square.x;
      distance += square.y;
      distance += square.z;
      distance += square.w;
    }
    if (distance < nearest) {
      nearest = distance;
      code = c;
    }
  }
  best[lane] = vec2<u32>(bitcast<u32>(nearest), code);
  workgroupBarrier();
  if (lane != 0u) {
    return;
  }
  for (var i = 1u; i < ${lanes}u; i++) {
    let other = bitcast<f32>(best[i].x);
    if (other < nearest || (other == nearest && best[i].y < code)) {
      nearest = other;
      code = best[i].y;
    }
  }
  codes[group.x] = code;
}
