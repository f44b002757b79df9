// What every variant of matmul binds, and how a finished quad of y is stored.
@group(0) @binding(0) var<storage, read> x: array<${x_element}>;
@group(0) @binding(1) var<storage, read> w: array<${w}x4>;
#if ${bias}
@group(0) @binding(${bias}) var<storage, read> bias: array<${w}x4>;
#endif
#if ${lora}
@group(0) @binding(${lora}) var<storage, read> low: array<${x_element}>; // PLoRA's α/r · A x of each run, side by side
#endif
#if ${gate}
@group(0) @binding(${gate}) var<storage, read> gate: array<${x}x4>;
#endif
#if ${residual}
@group(0) @binding(${residual}) var<storage, read> residual: array<${y}x4>;
#endif
@group(0) @binding(${out}) var<storage, read_write> y: array<${y}x4>;

struct Shape {
  // Up to three runs of columns, each with its own low-rank part: the first workgroup and the first quad of each (and
  // the quad after the last), quads counted within this piece of w.
  first_tile: vec4<u32>,
  first_quad: vec4<u32>,
  rows: u32,
  w_rows: u32,
  w_pitch: u32, // pitches in quads
  y_pitch: u32,
  y_first: u32, // the quad of y at which this piece of w begins
  alpha: f32,
  // Of each operand: the quads summed over, from one row to the next, and where they begin in a row of w.
  x_quads: u32,
  x_pitch: u32,
  x_in_w: u32,
  low_quads: u32,
  low_pitch: u32,
  low_in_w: u32,
  first_run: u32,
  gate_pitch: u32,
  gate_first: u32,
}
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

// Where a run of columns has its part of a row of the operand.
fn x_begin(run: u32) -> u32 {
  return 0u;
}

fn low_begin(run: u32) -> u32 {
  return (run + shape.first_run) * shape.low_quads;
}

// Where the weights of a quad's column begin; those of a column past the last are some others, which `store` drops.
fn weight_row(quad: u32, column: u32) -> u32 {
  return min(4u * quad + column, shape.w_rows - 1u) * shape.w_pitch;
}

fn store(row: u32, quad: u32, sum: vec4<f32>) {
  let n = shape.y_first + quad;
  var v = shape.alpha * sum;
  // Columns past the last are padding and must be zero.
  let left = shape.w_rows - 4u * quad;
  v = select(vec4<f32>(), v, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
#if ${bias}
  v += from_${w}(bias[n]);
#endif
  v = ${act}(v);
#if ${gate}
  v *= from_${x}(gate[row * shape.gate_pitch + shape.gate_first + n]);
#endif
#if ${residual}
  v += from_${y}(residual[row * shape.y_pitch + n]);
#endif
  y[row * shape.y_pitch + n] = to_${y}(v);
}
