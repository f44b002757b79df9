// A quad is four neighbouring elements of a row: two u32 in bf16 (the earlier element in the lower half), a vec4 in f32.
alias bf16x4 = vec2<u32>;
alias f32x4 = vec4<f32>;

// A product where one would shift: SwiftShader shifts each thread's value on its own, others make a shift of it.
fn from_bf16(q: bf16x4) -> vec4<f32> {
  return bitcast<vec4<f32>>(vec4<u32>(q.x * 65536u, q.x & 0xffff0000u, q.y * 65536u, q.y & 0xffff0000u));
}

fn from_f32(q: f32x4) -> vec4<f32> {
  return q;
}

fn unpack_bf16(words: vec2<u32>) -> vec4<f32> {
  return from_bf16(words);
}

fn unpack_f32(words: vec4<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(words);
}

// Rounds to nearest even; a NaN stays one.
fn to_bf16(v: vec4<f32>) -> bf16x4 {
  let u = bitcast<vec4<u32>>(v);
  let rounded = u + 0x7fffu + ((u >> vec4<u32>(16u)) & vec4<u32>(1u));
  let r = select(rounded, u | vec4<u32>(0x400000u), (u & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
  return vec2<u32>((r.x >> 16u) | (r.y & 0xffff0000u), (r.z >> 16u) | (r.w & 0xffff0000u));
}

fn to_f32(v: vec4<f32>) -> f32x4 {
  return v;
}
