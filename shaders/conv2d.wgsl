// y = w * x + b (+ r), 3×3: a thread computes tile_m pixels of a row × one quad of channels, channels last. The input may be
// read as if every pixel were doubled (nearest up-sampling), so that the larger picture is never stored. All threads of a
// workgroup want the same pixels (gpu.ts, `sharing`).
#if ${subgroup}
enable subgroups;
#endif
#include "lib/types.wgsl"
#include "lib/conv2d_operands.wgsl"

@compute @workgroup_size(${lanes})
#if ${subgroup}
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) id: u32) {
#for h in ${loads}
  let pixel#h = min(#hu * ${subgroup}u + id % ${subgroup}u, ${tile_m}u - 1u);
#endfor
#else
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
#for h in ${loads}
  let pixel#h = #hu;
#endfor
#endif
  let quad = group.x * ${lanes}u + lane;
#if ${subgroup}
#else
  if (quad >= shape.y_quads) {
    return;
  }
#endif
  let strip = shape.first_group + group.y;
  let row = strip / shape.tiles;
  let col = (strip % shape.tiles) * ${tile_m}u;
#for n in 4
  let channel#n = min(4u * quad + #nu, shape.channels - 1u);
#endfor
#for i in ${tile_m}
  var c#i = vec4<f32>();
#endfor
  for (var tap = 0u; tap < shape.taps; tap++) { // nine, but unrolled it compiles for many seconds on some
    // Stride 1 pads all sides by one; stride 2 the right and the bottom alone (LDM's down-sampling).
    let iy = i32(row * ${stride}u + tap / 3u) - ${pad};
    if (iy < 0 || iy >= i32(shape.in_height * ${upsample}u)) {
      continue;
    }
    let line = (u32(iy) / ${upsample}u) * shape.in_width;
#for h in ${loads}
    let ix#h = i32((col + pixel#h) * ${stride}u + tap % 3u) - ${pad};
    let inside#h = f32(ix#h >= 0 && ix#h < i32(shape.in_width * ${upsample}u));
    let x#h = (line + min(u32(max(ix#h, 0)) / ${upsample}u, shape.in_width - 1u)) * shape.in_quads;
#endfor
    for (var k = 0u; k < shape.in_quads; k++) {
      let at = tap * shape.in_quads + k;
      let a = load_w(w_row(channel0) + at);
      let b = load_w(w_row(channel1) + at);
      let c = load_w(w_row(channel2) + at);
      let d = load_w(w_row(channel3) + at);
#if ${subgroup}
      let pixels = array<${x}x4, ${loads}>(
#for h in ${loads}
        select(${x}x4(), x[x#h + k], inside#h > 0.0),
#endfor
      );
#endif
#for i in ${tile_m}
      {
#if ${subgroup}
        let v = from_${x}(subgroupBroadcast(pixels[#iu / ${subgroup}u], #iu % ${subgroup}u));
#else
        let v = from_${x}(x[x#i + k]) * inside#i;
#endif
        c#i += v.x * vec4<f32>(a.x, b.x, c.x, d.x);
        c#i += v.y * vec4<f32>(a.y, b.y, c.y, d.y);
        c#i += v.z * vec4<f32>(a.z, b.z, c.z, d.z);
        c#i += v.w * vec4<f32>(a.w, b.w, c.w, d.w);
      }
#endfor
    }
  }
  // One by one: a CPU's compiler writes each store out for every thread.
  var sums = array<vec4<f32>, ${tile_m}>(
#for i in ${tile_m}
    c#i,
#endfor
  );
  if (quad < shape.y_quads) {
    let end = min(col + ${tile_m}u, shape.width);
    for (var pixel = col; pixel < end; pixel++) {
      store(row * shape.width + pixel, quad, sums[pixel - col]);
    }
  }
}
