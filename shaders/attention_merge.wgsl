// y = Σ o e^(m - M) / Σ s e^(m - M) over the chunks of a query's keys, one after another: o, m and s are what attention_row.wgsl
// leaves of each (s is 0 of a chunk without keys), M the largest m. Of one chunk it is o / s.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> chunks: array<vec4<f32>>; // [query][head][chunk]: the quads of o, then (m, s)
@group(0) @binding(1) var<storage, read_write> y: array<${x}x4>;

struct Shape { count: u32, heads: u32, quads: u32, y_pitch: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let size = shape.quads + 1u;
  let first = (group.x * shape.heads + group.y) * shape.count * size;
  var m = -3.0e38;
  for (var i = 0u; i < shape.count; i++) {
    m = max(m, chunks[first + i * size + shape.quads].x);
  }
  for (var d = lane; d < shape.quads; d += 32u) {
    var o = vec4<f32>();
    var sum = 0.0;
    for (var i = 0u; i < shape.count; i++) {
      let left = chunks[first + i * size + shape.quads];
      if (left.y > 0.0) {
        let keep = exp(left.x - m);
        sum += keep * left.y;
        o += keep * chunks[first + i * size + d];
      }
    }
    y[group.x * shape.y_pitch + group.y * shape.quads + d] = to_${x}(o / sum);
  }
}
