// y[r] = [cos(t[r] f), sin(t[r] f)], f[k] = frequency k of `half`.
#include "lib/types.wgsl"
#include "lib/math.wgsl"
@group(0) @binding(0) var<storage, read> t: array<u32>;
@group(0) @binding(1) var<storage, read> frequency: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<${y}x4>;

struct Shape { elements: u32, each: u32, half: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn wave(time: f32, e: u32) -> f32 {
  let sc = sin_cos_(time * frequency[e % shape.half]);
  return select(sc.x, sc.y, e < shape.half);
}

fn element(i: u32) {
  let row_quads = shape.half / 2u;
  let e = 4u * (i % row_quads);
  let time = f32(t[i / row_quads]);
  y[i] = to_${y}(vec4<f32>(wave(time, e), wave(time, e + 1u), wave(time, e + 2u), wave(time, e + 3u)));
}
#include "lib/elements.wgsl"
