// A model file of one matrix product, y = x w, as onnxruntime reads it: protocol buffers by hand, of the few fields needed.
const text = new TextEncoder();

function varint(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

const number = (field, value) => Uint8Array.from([...varint(field * 8), ...varint(value)]);

/** A field of bytes, a string or a message in several parts. */
function field(number, ...parts) {
  const bytes = parts.map((part) => (typeof part === 'string' ? text.encode(part) : part)),
    length = bytes.reduce((sum, { length }) => sum + length, 0);
  return concat([Uint8Array.from([...varint(number * 8 + 2), ...varint(length)]), ...bytes]);
}

function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const float = 1;

/** A ValueInfoProto: a tensor of f32 by its name and sizes. */
function value(name, sizes) {
  const shape = sizes.map((size) => field(1, number(1, size)));
  return [field(1, name), field(2, field(1, number(1, float), field(2, ...shape)))];
}

/** @param {Float32Array} w [k, n] */
export function productModel(m, k, n, w) {
  const node = field(1, field(1, 'x'), field(1, 'w'), field(2, 'y'), field(4, 'MatMul'));
  const weights = field(
    5,
    number(1, k),
    number(1, n),
    number(2, float),
    field(8, 'w'),
    field(9, new Uint8Array(w.buffer)),
  );
  const graph = [
    node,
    field(2, 'product'),
    weights,
    field(11, ...value('x', [m, k])),
    field(12, ...value('y', [m, n])),
  ];
  return concat([number(1, 8), field(7, ...graph), field(8, number(2, 17))]);
}
