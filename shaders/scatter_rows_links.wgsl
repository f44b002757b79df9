// links[r] = (index of row r, the next row with it or the number of rows, whether r is the first): a thread a row.
@group(0) @binding(0) var<storage, read> index: array<u32>;
@group(0) @binding(1) var<storage, read> position: array<u32>;
@group(0) @binding(2) var<storage, read_write> links: array<vec4<u32>>;

struct Shape { rows: u32, batch: u32, index_pitch: u32, add: u32, branch: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;
#include "lib/row_index.wgsl"

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= shape.rows) {
    return;
  }
  let mine = row_index(row);
  var first = 1u;
  for (var s = 0u; s < row; s++) {
    if (row_index(s) == mine) {
      first = 0u;
      break;
    }
  }
  var next = row + 1u;
  while (next < shape.rows) {
    if (row_index(next) == mine) {
      break;
    }
    next++;
  }
  links[row] = vec4<u32>(mine, next, first, 0u);
}
