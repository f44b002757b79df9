// y = 0, padding too.
@group(0) @binding(0) var<storage, read_write> y: array<vec4<u32>>;

struct Shape { quads: u32 }
@group(0) @binding(1) var<uniform> shape: Shape;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i < shape.quads) {
    y[i] = vec4<u32>();
  }
}
