// y = deviation * standard normal noise: an element is a function of its picture's seed, the stream and its own number in
// that picture alone.
#include "lib/normal.wgsl"
@group(0) @binding(0) var<storage, read> seeds: array<vec4<u32>>; // two words a picture
@group(0) @binding(1) var<storage, read> deviation: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

struct Shape { elements: u32, each: u32, cols: u32, row_quads: u32, stream: u32, pictures: u32, positions: u32, scaled: u32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn element(i: u32) {
  let row = i / shape.row_quads;
  let picture = row / shape.positions % shape.pictures;
  let own = row / (shape.positions * shape.pictures) * shape.positions + row % shape.positions; // of the picture's rows
  let quad = own * shape.row_quads + i % shape.row_quads;
  let scale = select(1.0, deviation[0], shape.scaled == 1u);
  let v = normals(vec4<u32>(quad, shape.stream, 0u, 0u), seeds[picture].xy) * scale;
  let inside = vec4<u32>(4u * (i % shape.row_quads)) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.cols);
  y[i] = select(vec4<f32>(), v, inside);
}
#include "lib/elements.wgsl"
