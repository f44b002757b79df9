// sum = left right + sum, over and over: `chains` independent sums a subgroup, each of m × n numbers and products over k.
#if ${half}
enable f16;
#endif
enable subgroups;
enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read> terms: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<${result}>;
@group(0) @binding(2) var<storage, read_write> subgroups: array<u32>;

@compute @workgroup_size(${threads})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(subgroup_size) size: u32) {
  if (lane == 0u) {
    subgroups[0] = ${threads}u / size;
  }
  let left = subgroup_matrix_left<${component}, ${k}, ${m}>(${component}(terms[0].x));
  let right = subgroup_matrix_right<${component}, ${n}, ${k}>(${component}(terms[1].x));
#for i in ${chains}
  var c#i = subgroup_matrix_result<${result}, ${n}, ${m}>(${result}(terms[2u + #iu].x));
#endfor
  for (var n = 0u; n < ${rounds}u; n++) {
#for j in 8
#for i in ${chains}
    c#i = subgroupMatrixMultiplyAccumulate(left, right, c#i);
#endfor
#endfor
  }
  if (terms[0].y == 0.123) {
#for i in ${chains}
    subgroupMatrixStore<row_major>(&y, #iu, c#i, ${n}u);
#endfor
  }
}
