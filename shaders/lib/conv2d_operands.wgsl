// What both kernels of conv2d bind, where they find a pixel of the input, and how a finished quad of y is stored.
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> w: array<${w}x4>;
@group(0) @binding(2) var<storage, read> bias: array<${w}x4>;
#if ${residual}
@group(0) @binding(${residual}) var<storage, read> residual: array<${y}x4>;
#endif
@group(0) @binding(${out}) var<storage, read_write> y: array<${y}x4>;

struct Shape { in_height: u32, in_width: u32, height: u32, width: u32, in_quads: u32, channels: u32, y_quads: u32, tiles: u32, taps: u32, first_group: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

fn w_row(channel: u32) -> u32 {
  return channel * shape.taps * shape.in_quads;
}
#include "weights.wgsl"

// Whether the input, doubled by `upsample`, has a pixel there.
fn in_picture(y: i32, x: i32) -> bool {
  return y >= 0 && y < i32(shape.in_height * ${upsample}u) && x >= 0 && x < i32(shape.in_width * ${upsample}u);
}

// That pixel of the input, or one beside it.
fn pixel_at(y: i32, x: i32) -> u32 {
  let row = min(u32(max(y, 0)) / ${upsample}u, shape.in_height - 1u);
  return row * shape.in_width + min(u32(max(x, 0)) / ${upsample}u, shape.in_width - 1u);
}

fn store(pixel: u32, quad: u32, sum: vec4<f32>) {
  let to = pixel * shape.y_quads + quad;
  let inside = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.channels);
  var v = select(vec4<f32>(), sum, inside) + from_${w}(bias[quad]);
#if ${residual}
  v += from_${y}(residual[to]);
#endif
  y[to] = to_${y}(v);
}
