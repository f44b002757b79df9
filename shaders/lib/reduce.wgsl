// The sum of one f32 from each of the workgroup's invocations, in a fixed order: the same bits on every adapter.
var<workgroup> partial: array<f32, ${lanes}>;

fn workgroup_sum(x: f32, lane: u32) -> f32 {
  partial[lane] = x;
  workgroupBarrier();
  for (var stride = ${lanes}u / 2u; stride > 0u; stride >>= 1u) {
    if (lane < stride) {
      partial[lane] += partial[lane + stride];
    }
    workgroupBarrier();
  }
  let sum = partial[0];
  workgroupBarrier();
  return sum;
}
