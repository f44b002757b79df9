// y[chunk][c] = Σ x[r][c] over the rows r of a chunk, one after another: a thread sums a quad of columns.
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
#if ${chosen}
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
#endif
@group(0) @binding(${out}) var<storage, read_write> y: array<f32x4>;

struct Shape { elements: u32, each: u32, rows: u32, columns: u32, pitch: u32, first: u32, chunk: u32, equals: u32, batch: u32, index_pitch: u32, add: u32, branch: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;
#if ${chosen}
#include "lib/row_index.wgsl"
#endif

fn element(i: u32) {
  let begin = (i / shape.columns) * shape.chunk;
  let end = min(begin + shape.chunk, shape.rows);
  var sum = vec4<f32>();
#if ${accumulate}
  sum = y[i];
#endif
  for (var row = begin; row < end; row++) {
#if ${chosen}
    if (row_index(row) != shape.equals) {
      continue;
    }
#endif
    sum += from_${x}(x[row * shape.pitch + shape.first + i % shape.columns]);
  }
  y[i] = sum;
}
#include "lib/elements.wgsl"
