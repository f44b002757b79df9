// y[index[r]] = x[r], mask[index[r]] = 0: the tokens just sampled take their places among the known.
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> mask: array<u32>;

struct Shape { rows: u32, row_quads: u32 }
@group(0) @binding(4) var<uniform> shape: Shape;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= shape.rows * shape.row_quads) {
    return;
  }
  let to = index[id.x / shape.row_quads];
  y[to * shape.row_quads + id.x % shape.row_quads] = x[id.x];
  if (id.x % shape.row_quads == 0u) {
    mask[to] = 0u;
  }
}
