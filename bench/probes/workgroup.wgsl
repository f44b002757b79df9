// Reads workgroup memory: each thread `rounds` × 8 quads, neighbours beside each other.
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
var<workgroup> tile: array<vec4<f32>, 512>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < 512u; i += 64u) {
    tile[i] = x[(group.x + i) % 16u];
  }
  workgroupBarrier();
  var sum = vec4<f32>();
  for (var n = 0u; n < ${rounds}u; n++) {
#for i in 8
    sum += tile[(n + lane + #iu * 64u) & 511u];
#endfor
  }
  if (sum.x + sum.y + sum.z + sum.w == 0.123) {
    y[lane % 16u] = sum;
  }
}
