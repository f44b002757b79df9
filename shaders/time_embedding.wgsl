// y[r] = [cos(t[r] f), sin(t[r] f)], f[k] = frequency k of `half`.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> t: array<u32>;
@group(0) @binding(1) var<storage, read> frequency: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<${y}x4>;

struct Shape { rows: u32, half: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn element(time: f32, e: u32) -> f32 {
  let sc = sin_cos_(time * frequency[e % shape.half]);
  return select(sc.x, sc.y, e < shape.half);
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row_quads = shape.half / 2u;
  if (id.x >= shape.rows * row_quads) {
    return;
  }
  let e = 4u * (id.x % row_quads);
  let time = f32(t[id.x / row_quads]);
  y[id.x] = to_${y}(vec4<f32>(element(time, e), element(time, e + 1u), element(time, e + 2u), element(time, e + 3u)));
}
