// y[r] = table[index[r]]: the embedding look-up, and the choice of rows. One piece of the table a dispatch: rows that lie
// in another piece are left alone.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> table: array<${w}x4>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<${y}x4>;

struct Shape { elements: u32, each: u32, row_quads: u32, table_pitch: u32, first: u32, count: u32, batch: u32, index_pitch: u32, add: u32, branch: u32 }
@group(0) @binding(4) var<uniform> shape: Shape;

fn table_row(row: u32) -> u32 {
  return row * shape.table_pitch;
}
#include "lib/weights.wgsl"

fn element(i: u32) {
  let row = i / shape.row_quads;
  let b = row / shape.batch;
  // Rows of one branch follow each other in its row of `index`, from its position on.
  let at = (b + shape.branch) * shape.index_pitch + row % shape.batch + select(0u, position[b + shape.branch], shape.index_pitch > 0u);
  let base = index[at] + b * shape.add - shape.first;
  if (base < shape.count) {
    y[i] = to_${y}(load_table(table_row(base) + i % shape.row_quads));
  }
}
#include "lib/elements.wgsl"
