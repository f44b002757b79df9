// With n = (x - mean) inverse, a = n [weight + bias], y = a [(1 + scale) + shift]: g = dy [(1 + scale)] [weight],
// dx = inverse (g - mean(g) - n mean(g n)), dscale = dy a, dshift = dy; da n and da, whose sums over the rows are weight's
// and bias's gradients, where they are asked for. A row a workgroup.
#include "lib/types.wgsl"
#include "lib/reduce.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> dy: array<${x}x4>;
#if ${weight}
@group(0) @binding(${weight}) var<storage, read> weight: array<${w}x4>;
@group(0) @binding(${bias}) var<storage, read> bias: array<${w}x4>;
#endif
#if ${modulation}
@group(0) @binding(${modulation}) var<storage, read> modulation: array<${x}x4>;
#endif
@group(0) @binding(${dx}) var<storage, read_write> dx: array<${x}x4>;
#if ${daffine}
@group(0) @binding(${daffine}) var<storage, read_write> daffine: array<f32x4>; // [rows, weight's | bias's]
#endif
#if ${dmodulation}
@group(0) @binding(${dmodulation}) var<storage, read_write> dmodulation: array<${x}x4>; // shift's and scale's columns, as they lie in modulation
#endif

struct Shape { rows: u32, row_quads: u32, cols: u32, eps: f32, pitch: u32, shift: u32, scale: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

// The gradient of n.
fn gradient(r: u32, i: u32) -> vec4<f32> {
  var g = from_${x}(dy[r * shape.row_quads + i]);
#if ${modulation}
  g *= 1.0 + from_${x}(modulation[r * shape.pitch + shape.scale + i]);
#endif
#if ${weight}
  g *= from_${w}(weight[i]);
#endif
  return g;
}

fn inside(i: u32) -> vec4<bool> {
  return vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.cols);
}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(${lane}) lane: u32) {
  let r = min(group.y * groups.x + group.x, shape.rows - 1u);
  let row = r * shape.row_quads;
  var s = vec4<f32>();
  var t = vec4<f32>();
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    s += from_${x}(x[row + i]);
    t += gradient(r, i);
  }
  let mean = workgroup_sum((s.x + s.y) + (s.z + s.w), lane) / f32(shape.cols);
  let mean_g = workgroup_sum((t.x + t.y) + (t.z + t.w), lane) / f32(shape.cols);
  var squares = vec4<f32>();
  var along = vec4<f32>();
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    let v = select(vec4<f32>(), from_${x}(x[row + i]) - mean, inside(i));
    squares += v * v;
    along += v * gradient(r, i);
  }
  let inverse = 1.0 / sqrt(workgroup_sum((squares.x + squares.y) + (squares.z + squares.w), lane) / f32(shape.cols) + shape.eps);
  let mean_gn = workgroup_sum((along.x + along.y) + (along.z + along.w), lane) * inverse / f32(shape.cols);
  for (var i = lane; i < shape.row_quads; i += ${lanes}u) {
    let n = select(vec4<f32>(), (from_${x}(x[row + i]) - mean) * inverse, inside(i));
    let g = gradient(r, i) - mean_g;
    dx[row + i] = to_${x}(select(vec4<f32>(), (g - n * mean_gn) * inverse, inside(i)));
    let d = from_${x}(dy[row + i]);
#if ${daffine}
    var da = d;
#if ${modulation}
    da *= 1.0 + from_${x}(modulation[r * shape.pitch + shape.scale + i]);
#endif
    daffine[2u * row + i] = da * n;
    daffine[2u * row + shape.row_quads + i] = da;
#endif
#if ${dmodulation}
    var a = n;
#if ${weight}
    a = a * from_${w}(weight[i]) + from_${w}(bias[i]);
#endif
    dmodulation[r * shape.pitch + shape.scale + i] = to_${x}(d * a);
    dmodulation[r * shape.pitch + shape.shift + i] = to_${x}(d);
#endif
  }
}
