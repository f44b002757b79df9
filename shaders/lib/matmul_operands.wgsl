// What every variant of matmul binds, which weights meet an operand, and how a finished quad of y is stored.
@group(0) @binding(0) var<storage, read> x: array<${x_element}>;
@group(0) @binding(1) var<storage, read> w: array<${stored}>;
#if ${low}
@group(0) @binding(${low}) var<storage, read> low: array<${x_element}>; // PLoRA's α/r · A x of each run, side by side
@group(0) @binding(${up}) var<storage, read> up: array<${stored}>; // PLoRA's B
#endif
#if ${bias}
@group(0) @binding(${bias}) var<storage, read> bias: array<${w}x4>;
#endif
#if ${gate}
@group(0) @binding(${gate}) var<storage, read> gate: array<${x}x4>;
#endif
#if ${residual}
@group(0) @binding(${residual}) var<storage, read> residual: array<${y}x4>;
#endif
@group(0) @binding(${out}) var<storage, read_write> y: array<${y}x4>;

struct Shape {
  // Up to three runs of columns, each with its own low-rank part: the first tile of columns and the first quad of each (in w
  // the number of tiles; behind the last run the quad after it), quads counted from the first column of this launch.
  first_tile: vec4<u32>,
  first_quad: vec4<u32>,
  first_run: u32,
  each: u32, // tiles of columns of a workgroup
  rows: u32,
  columns: u32, // of this launch
  w_pitch: u32, // pitches in quads
  w_first: u32, // w's row of the first column
  w_begin: u32, // the quad of w at which its block begins
  y_pitch: u32,
  y_first: u32, // the quad of y at which the columns begin
  alpha: f32,
  // Of each operand: the quads summed over, from one row to the next, and where they begin in a row.
  x_quads: u32,
  x_pitch: u32,
  x_first: u32,
  x_rows: u32, // of w that are summed over, where it is not transposed
  low_quads: u32,
  low_pitch: u32,
  up_pitch: u32,
  up_first: u32,
  gate_pitch: u32,
  gate_first: u32,
  // The norm before it, where there is one; pitch, scale and shift in quads.
  norm_cols: u32,
  norm_eps: f32,
  modulation_pitch: u32,
  modulation_shift: u32,
  modulation_scale: u32,
  pair: u32, // quads from a column of gate to the one of up that meets it
  first_group: u32, // the row of workgroups at which this dispatch begins
}
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

fn w_row(row: u32) -> u32 {
  return shape.w_begin + row * shape.w_pitch;
}

#if ${low}
fn up_row(row: u32) -> u32 {
  return row * shape.up_pitch;
}
#endif
#include "weights.wgsl"

// Where a run of columns has its part of a row of the operand, and where the weights of one column begin that meet it.
fn x_begin(run: u32) -> u32 {
  return shape.x_first;
}

fn x_start(column: u32) -> u32 {
  return w_row(shape.w_first + column);
}

fn x_weights(at: u32) -> ${loaded} {
  return load_w(at);
}

#if ${low}
fn low_begin(run: u32) -> u32 {
  return (run + shape.first_run) * shape.low_quads;
}

fn low_start(column: u32) -> u32 {
  return up_row(shape.up_first + column);
}

fn low_weights(at: u32) -> ${loaded} {
  return load_up(at);
}
#endif

// The column whose weights serve one of a quad's: one past the last takes some others, which `store` drops.
fn column_of(quad: u32, n: u32) -> u32 {
  return min(4u * quad + n, shape.columns - 1u);
}

// The row of w, where it is not transposed, that meets an element of x; x is zero past the last.
fn row_of(quad: u32, n: u32) -> u32 {
  return min(4u * quad + n, shape.x_rows - 1u);
}

#if ${pairs}
// SwiGLU of a quad of gate and the one of up that meets it, to the bits of swiglu.wgsl behind `store`.
fn store_pair(row: u32, quad: u32, gate: vec4<f32>, up: vec4<f32>) {
  let left = shape.columns - 4u * (quad + shape.pair);
  let inside = vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left);
  let v = silu(from_${y}(to_${y}(gate))) * from_${y}(to_${y}(up));
  y[row * shape.y_pitch + quad] = to_${y}(select(vec4<f32>(), v, inside));
}
#else
fn store(row: u32, quad: u32, sum: vec4<f32>) {
  let n = shape.y_first + quad;
  let to = row * shape.y_pitch + n;
  var v = shape.alpha * sum;
  // Columns past the last are padding and must be zero.
  let left = shape.columns - 4u * quad;
  v = select(vec4<f32>(), v, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
#if ${bias}
  v += from_${w}(bias[n]);
#endif
  v = ${act}(v);
#if ${gate}
  v *= from_${x}(gate[row * shape.gate_pitch + shape.gate_first + n]);
#endif
#if ${residual}
  v += from_${y}(residual[to]);
#endif
#if ${accumulate}
  v += from_${y}(y[to]);
#endif
  y[to] = to_${y}(v);
}
#endif
