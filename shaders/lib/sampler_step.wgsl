// Eq. 28: u = u_uncond + ω (u_cond - u_uncond).
fn guided(conditional: vec4<f32>, other: vec4<f32>, omega: f32) -> vec4<f32> {
  return other + omega * (conditional - other);
}

// Eq. 16 or the DDPM posterior before its noise: a u + b x, the coefficients k of a step being (a, b, c, the noise's row).
fn stepped(k: vec4<f32>, u: vec4<f32>, x: vec4<f32>) -> vec4<f32> {
  return k.x * u + k.y * x;
}
