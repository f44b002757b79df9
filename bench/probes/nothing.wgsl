// As little as a dispatch can do: each waits for the one before it, as a model's do.
@group(0) @binding(0) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(1)
fn main() {
  y[0] += 1u;
}
