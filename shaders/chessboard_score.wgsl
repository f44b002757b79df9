// Each invocation's count of points off the filled cells, and its sum of squared distances from where the points should be. A
// quad of x is two points.
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> wanted: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>; // wrong, squares, 0, 0

// The lower left corner of the cells in question, and how many there are on an axis.
struct Shape { points: u32, invocations: u32, corner_x: f32, corner_y: f32, cell: f32, columns: f32 }
@group(0) @binding(3) var<uniform> shape: Shape;

fn score(at: vec2<f32>, wanted_at: vec2<f32>) -> vec4<f32> {
  let place = floor((at - vec2<f32>(shape.corner_x, shape.corner_y)) / shape.cell);
  let inside = all(place >= vec2<f32>()) && all(place < vec2<f32>(shape.columns));
  let filled = 2.0 * floor(0.5 * (place.x + place.y)) == place.x + place.y;
  let away = at - wanted_at;
  return vec4<f32>(select(1.0, 0.0, inside && filled), dot(away, away), 0.0, 0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var sum = vec4<f32>();
  for (var i = id.x; 2u * i < shape.points; i += shape.invocations) {
    sum += score(x[i].xy, wanted[i].xy);
    if (2u * i + 1u < shape.points) {
      sum += score(x[i].zw, wanted[i].zw);
    }
  }
  if (id.x < shape.invocations) {
    y[id.x] = sum;
  }
}
