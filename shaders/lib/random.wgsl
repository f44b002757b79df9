// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"): numbers from a counter and a key, with no
// state, in integers alone: the same on every adapter. shaders/random.ts holds the same in TypeScript.

fn mul_hi(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let mid = ah * bl + ((al * bl) >> 16u);
  return ah * bh + (mid >> 16u) + ((al * bh + (mid & 0xffffu)) >> 16u);
}

fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var k = seed;
  for (var round = 0u; round < 10u; round++) {
    c = vec4<u32>(mul_hi(0xCD9E8D57u, c.z) ^ c.y ^ k.x, 0xCD9E8D57u * c.z, mul_hi(0xD2511F53u, c.x) ^ c.w ^ k.y, 0xD2511F53u * c.x);
    k += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
  }
  return c;
}
