#if ${backward}
// y = x gate + residual: dx = gate dy, dgate = x dy.
#else
// y = x gate [+ residual], AdaLN's gate being columns of a wider tensor.
#endif
#include "lib/types.wgsl"
@group(0) @binding(0) var<storage, read> x: array<${x}x4>;
@group(0) @binding(1) var<storage, read> gate: array<${x}x4>;
#if ${other}
@group(0) @binding(2) var<storage, read> other: array<${x}x4>; // the residual, or dy
#endif
@group(0) @binding(${out}) var<storage, read_write> y: array<${x}x4>;
#if ${dgate}
@group(0) @binding(${dgate}) var<storage, read_write> dgate: array<${x}x4>; // as wide as gate
#endif

struct Shape { elements: u32, each: u32, row_quads: u32, gate_pitch: u32, gate_first: u32 }
@group(0) @binding(${uniforms}) var<uniform> shape: Shape;

fn element(i: u32) {
  let at = (i / shape.row_quads) * shape.gate_pitch + shape.gate_first + i % shape.row_quads;
  let g = from_${x}(gate[at]);
#if ${backward}
  let d = from_${x}(other[i]);
  y[i] = to_${x}(g * d);
#if ${dgate}
  dgate[at] = to_${x}(from_${x}(x[i]) * d);
#endif
#else
  var v = from_${x}(x[i]) * g;
#if ${other}
  v += from_${x}(other[i]);
#endif
  // Columns past the last are padding: x is zero there.
  y[i] = to_${x}(v);
#endif
}
#include "lib/elements.wgsl"
