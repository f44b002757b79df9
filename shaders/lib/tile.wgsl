// Tiles of two operands in workgroup memory, as f32: the threads of a workgroup, `across` × `down`, compute tile_m rows × tile_n
// quads of columns each. The strides keep both stores and loads from meeting in a bank.
const depth = ${depth}u; // quads of k in a tile
const across = ${across}u; // threads side by side
const rows = ${down}u * ${tile_m}u; // of a workgroup's tile
const quads = across * ${tile_n}u; // of columns of a workgroup's tile
const x_stride = rows + ${skip}u; // from one quad of k to the next
const q_stride = quads + 1u; // from one column of a quad to the next
const w_stride = 4u * quads + 4u + 4u * ${skip}u;
var<workgroup> x_tile: array<vec4<f32>, depth * x_stride>; // [k][row]
var<workgroup> w_tile: array<vec4<f32>, depth * w_stride>; // [k][column of its quad, or row of k][quad]: neighbours read neighbours
