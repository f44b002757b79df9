// terms[row][head] = (log Σ e^score, y · dy): the forward pass left the first, this adds the second; a thread a head.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> y: array<${x}x4>;
@group(0) @binding(1) var<storage, read> dy: array<${x}x4>;
@group(0) @binding(2) var<storage, read_write> terms: array<f32>;

struct Shape { elements: u32, each: u32, heads: u32, head_quads: u32, pitch: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn element(i: u32) {
  var sum = 0.0;
  for (var d = i * shape.head_quads; d < (i + 1u) * shape.head_quads; d++) {
    let a = from_${x}(y[d]);
    let b = from_${x}(dy[d]);
    sum += a.x * b.x;
    sum += a.y * b.y;
    sum += a.z * b.z;
    sum += a.w * b.w;
  }
  terms[(i / shape.heads) * shape.pitch + 2u * (i % shape.heads) + 1u] = sum;
}
#include "lib/elements.wgsl"
