// The head of a kernel's main: where threads share a head's quads (gpu.ts, `sharing`), mine0, mine1 … are those that this one loads.
#if ${subgroup}
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) id: u32) {
#for h in ${loads}
  let mine#h = min(#hu * ${subgroup}u + id % ${subgroup}u, ${d}u - 1u);
#endfor
#else
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
#endif
