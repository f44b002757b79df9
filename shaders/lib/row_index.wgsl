// What `index` holds for a row: rows of one branch follow each other in its row of `index`, from its position on; where
// `index` has no rows (no pitch), all branches share it.
fn row_index(row: u32) -> u32 {
  let b = row / shape.batch;
  let past = select(0u, position[b + shape.branch], shape.index_pitch > 0u);
  return index[(b + shape.branch) * shape.index_pitch + row % shape.batch + past] + b * shape.add;
}
