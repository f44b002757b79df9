// y[index[r]] += Σ x[s] over all rows s with the index of r, in order. The first row of an index does it for all of them, so
// that no two threads write one place and each sum has one order.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<${y}x4>;

struct Shape { rows: u32, row_quads: u32, pitch: u32, first: u32, count: u32, batch: u32, index_pitch: u32, add: u32, branch: u32 }
@group(0) @binding(4) var<uniform> shape: Shape;
#include "lib/row_index.wgsl"

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 32u + lane;
  if (i >= shape.rows * shape.row_quads) {
    return;
  }
  let row = i / shape.row_quads;
  let quad = i % shape.row_quads;
  let mine = row_index(row);
  if (mine - shape.first >= shape.count) {
    return; // in another piece of y
  }
  for (var s = 0u; s < row; s++) {
    if (row_index(s) == mine) {
      return;
    }
  }
  let to = (mine - shape.first) * shape.pitch + quad;
  var sum = from_${y}(y[to]);
  for (var s = row; s < shape.rows; s++) {
    if (row_index(s) == mine) {
      sum += from_${x}(x[s * shape.row_quads + quad]);
    }
  }
  y[to] = to_${y}(sum);
}
