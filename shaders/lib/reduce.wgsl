// The sum of one f32 from each of the workgroup's invocations, in a fixed order: the same bits on every adapter.
#if ${subgroup}
enable subgroups;

// Eight threads that are one subgroup need no barrier, of which lavapipe makes a coroutine.
fn workgroup_sum(x: f32, lane: u32) -> f32 {
#for l in 8
  let p#l = subgroupBroadcast(x, #lu);
#endfor
  return ((p0 + p4) + (p2 + p6)) + ((p1 + p5) + (p3 + p7));
}
#elif ${few}
var<workgroup> partial: array<f32, 8>;

// On a CPU a barrier is dearer than what it saves: each of eight threads adds up all.
fn workgroup_sum(x: f32, lane: u32) -> f32 {
  partial[lane] = x;
  workgroupBarrier();
#for l in 8
  let p#l = partial[#l];
#endfor
  workgroupBarrier();
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
