// counter[i] += by, for the branches from `first` on.
@group(0) @binding(0) var<storage, read_write> counter: array<u32>;

struct Shape { first: u32, count: u32, by: u32 }
@group(0) @binding(1) var<uniform> shape: Shape;

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < shape.count; i += 32u) {
    counter[shape.first + i] += shape.by;
  }
}
