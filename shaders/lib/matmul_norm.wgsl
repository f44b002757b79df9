// The norm before a matmul of few rows: every workgroup makes the normalized rows that it reads, to the bits of layer_norm.wgsl
// and rms_norm.wgsl, in workgroup memory; that costs less than a launch and a pass through memory.
#if ${norm_weight}
@group(0) @binding(${norm_weight}) var<storage, read> norm_weight: array<${w}x4>;
#endif
#if ${norm_bias}
@group(0) @binding(${norm_bias}) var<storage, read> norm_bias: array<${w}x4>;
#endif
#if ${modulation}
@group(0) @binding(${modulation}) var<storage, read> modulation: array<${x}x4>;
#endif

const k_quads = ${k_quads}u;
var<workgroup> staged: array<${x}x4, ${tile_m}u * k_quads>; // [row][quad]
var<workgroup> partial: array<f32, ${threads}u>;

// The sum over each ${norm_lanes} threads that follow one another, as lib/reduce.wgsl adds up.
fn shared_sum(x: f32, lane: u32) -> f32 {
  let part = lane % ${norm_lanes}u;
  partial[lane] = x;
  workgroupBarrier();
  for (var stride = ${norm_lanes}u / 2u; stride > 0u; stride >>= 1u) {
    if (part < stride) {
      partial[lane] += partial[lane + stride];
    }
    workgroupBarrier();
  }
  let sum = partial[lane - part];
  workgroupBarrier();
  return sum;
}

fn stage_rows(first_row: u32, lane: u32) {
  let part = lane % ${norm_lanes}u;
  for (var first = 0u; first < ${tile_m}u; first += ${threads}u / ${norm_lanes}u) {
    let mine = first + lane / ${norm_lanes}u;
    let row = min(first_row + mine, shape.rows - 1u);
    let begin = row * shape.x_pitch + shape.x_first;
    var s = vec4<f32>();
#if ${rms}
    for (var i = part; i < shape.x_quads; i += ${norm_lanes}u) {
      let v = from_${x}(x[begin + i]);
      s += v * v;
    }
    let inverse = 1.0 / sqrt(shared_sum((s.x + s.y) + (s.z + s.w), lane) / f32(shape.norm_cols) + shape.norm_eps);
#else
    for (var i = part; i < shape.x_quads; i += ${norm_lanes}u) {
      s += from_${x}(x[begin + i]);
    }
    let mean = shared_sum((s.x + s.y) + (s.z + s.w), lane) / f32(shape.norm_cols);
    var d = vec4<f32>();
    for (var i = part; i < shape.x_quads; i += ${norm_lanes}u) {
      let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.norm_cols);
      let v = select(vec4<f32>(), from_${x}(x[begin + i]) - mean, inside);
      d += v * v;
    }
    let inverse = 1.0 / sqrt(shared_sum((d.x + d.y) + (d.z + d.w), lane) / f32(shape.norm_cols) + shape.norm_eps);
#endif
    if (mine < ${tile_m}u) {
      for (var i = part; i < shape.x_quads; i += ${norm_lanes}u) {
#if ${rms}
        let v = from_${x}(x[begin + i]) * inverse * from_${w}(norm_weight[i]);
#else
        let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(shape.norm_cols);
        var v = (from_${x}(x[begin + i]) - mean) * inverse;
#if ${norm_weight}
        v = v * from_${w}(norm_weight[i]) + from_${w}(norm_bias[i]);
#endif
#if ${modulation}
        let m = row * shape.modulation_pitch + i;
        v = v * (1.0 + from_${x}(modulation[m + shape.modulation_scale])) + from_${x}(modulation[m + shape.modulation_shift]);
#endif
        v = select(vec4<f32>(), v, inside);
#endif
        staged[mine * k_quads + i] = to_${x}(v);
      }
    }
  }
  workgroupBarrier();
}
