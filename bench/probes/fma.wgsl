// x = x * factor + term, over and over: `chains` independent quads a thread, as many multiply-adds as the adapter can do.
#if ${half}
enable f16;
#endif
@group(0) @binding(0) var<storage, read> terms: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let factor = vec4<${number}>(terms[0]);
  let term = vec4<${number}>(terms[1]);
#for i in ${chains}
  var c#i = vec4<${number}>(terms[2u + (id.x + #iu) % 16u]);
#endfor
  for (var n = 0u; n < ${rounds}u; n++) {
#for j in 8
#for i in ${chains}
    c#i = c#i * factor + term;
#endfor
#endfor
  }
  var sum = vec4<${number}>();
#for i in ${chains}
  sum += c#i;
#endfor
  if (f32(sum.x + sum.y + sum.z + sum.w) == 0.123) {
    y[id.x % 16u] = vec4<f32>(sum);
  }
}
