// main: `element` for each number under shape.elements.
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let mine = group.y * groups.x + group.x;
#if ${several}
  // lavapipe numbers a workgroup's threads by dividing, one thread at a time: a thread takes several elements.
  let first = mine * ${threads}u * shape.each;
  let end = min(first + ${threads}u * shape.each, shape.elements);
  for (var i = first + lane; i < end; i += ${threads}u) {
    element(i);
  }
#else
  let i = mine * ${threads}u + lane;
  if (i < shape.elements) {
    element(i);
  }
#endif
}
