// codes[chosen[r]] = drawn[r] = argmax(l) at temperature 0, else the code at uniform[chosen[r]] of softmax(l / temperature),
// with l = l_uncond + ω (l_cond - l_uncond). One workgroup a row.
#include "lib/math.wgsl"
#include "lib/reduce.wgsl"
#include "lib/categorical.wgsl"
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> chosen: array<u32>;
@group(0) @binding(2) var<storage, read> uniform_numbers: array<f32>;
@group(0) @binding(3) var<storage, read> sampling: array<f32>; // guidance ω, temperature
@group(0) @binding(4) var<storage, read_write> codes: array<u32>;
@group(0) @binding(5) var<storage, read_write> drawn: array<u32>;

struct Shape { rows: u32, classes: u32, pitch: u32, branches: u32 }
@group(0) @binding(6) var<uniform> shape: Shape;

var<private> row: u32;

fn logit(code: u32) -> f32 {
  let l = logits[row * shape.pitch + code];
  if (shape.branches == 1u) {
    return l;
  }
  let other = logits[(shape.rows + row) * shape.pitch + code];
  return other + sampling[0] * (l - other);
}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  row = group.x;
  let temperature = sampling[1];
  let top = likeliest(lane, shape.classes);
  var code = top.index;
  if (temperature > 0.0) {
    code = class_at(uniform_numbers[chosen[group.x]], top, temperature, 0.0, lane, shape.classes);
  }
  if (lane == 0u) {
    codes[chosen[group.x]] = code;
    drawn[group.x] = code;
  }
}
