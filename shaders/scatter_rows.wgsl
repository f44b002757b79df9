// y[index[r]] += Σ x[s] over all rows s with the index of r, in order. The first row of an index does it for all of them, so
// that no two threads write one place and each sum has one order.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> links: array<vec4<u32>>; // of each row: index, next row of it, whether it is the first
@group(0) @binding(2) var<storage, read_write> y: array<${y}x4>;

struct Shape { elements: u32, each: u32, rows: u32, row_quads: u32, pitch: u32, first: u32, count: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn element(i: u32) {
  let quad = i % shape.row_quads;
  let link = links[i / shape.row_quads];
  // Rows with an index that lies in another piece of y have no part.
  if (link.z == 0u || link.x - shape.first >= shape.count) {
    return;
  }
  let to = (link.x - shape.first) * shape.pitch + quad;
  var sum = from_${y}(y[to]);
  for (var s = i / shape.row_quads; s < shape.rows; s = links[s].y) {
    sum += from_${x}(x[s * shape.row_quads + quad]);
  }
  y[to] = to_${y}(sum);
}
#include "lib/elements.wgsl"
