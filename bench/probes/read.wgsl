// Reads all of x and keeps nothing; `copy`: y = x. A workgroup's threads take neighbours (`across`) or runs of their own.
@group(0) @binding(0) var<storage, read> x: array<${element}>;
@group(0) @binding(1) var<storage, read_write> y: array<${element}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
#if ${across}
  let first = group.x * 64u * ${each}u + lane;
  const step = 64u;
#else
  let first = (group.x * 64u + lane) * ${each}u;
  const step = 1u;
#endif
#if ${copy}
#for i in ${each}
  y[first + #iu * step] = x[first + #iu * step];
#endfor
#else
  var sum = x[first];
  for (var i = 1u; i < ${each}u; i++) {
    sum ^= x[first + i * step];
  }
  if (all(sum == ${element}(0x9e3779b9u))) {
    y[0] = sum;
  }
#endif
}
