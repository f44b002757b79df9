// The sum of one f32 from each of the workgroup's invocations, in a fixed order: the same bits on every adapter.
#if ${few}
#if ${subgroup}
enable subgroups;
#else
var<workgroup> partial: array<f32, 8>;
#endif

// A CPU's barrier is dearer than what it saves, and lavapipe makes a coroutine of it: each of eight threads adds up all, and
// where they are one subgroup without any.
fn workgroup_sum(x: f32, lane: u32) -> f32 {
#if ${subgroup}
#for l in 8
  let p#l = subgroupBroadcast(x, #lu);
#endfor
#else
  partial[lane] = x;
  workgroupBarrier();
#for l in 8
  let p#l = partial[#l];
#endfor
  workgroupBarrier();
#endif
  return ((p0 + p4) + (p2 + p6)) + ((p1 + p5) + (p3 + p7));
}
#else
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
#endif
