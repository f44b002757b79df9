/**
 * Element types of safetensors files and their conversion. Bytes in such a file are little-endian, as is every machine
 * that runs WebGPU, so typed arrays read them as they are.
 */
import { MMARError } from '../base/error.ts';

/** Bytes of one element; the keys are the element types that a file may have. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  C64: 8,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type DType = keyof typeof DTYPE_BYTES;

export const isDtype = (text: string): text is DType => Object.hasOwn(DTYPE_BYTES, text);

/** What a conversion must know of a tensor; the name is for messages. */
export interface Typed {
  name: string;
  dtype: DType;
}

/**
 * Float32 values of any real element type, exact where float32 holds them, else the nearest (ties to even); a NaN
 * comes out quiet.
 *
 * Throws `shape` where `bytes` is no whole number of elements or `out` is short of them, `checkpoint` for an element
 * type without conversion (F8, complex).
 */
export function toF32({ name, dtype }: Typed, bytes: Uint8Array, out?: Float32Array): Float32Array {
  const count = countElements(name, dtype, bytes);
  const into = room(name, count, out ?? new Float32Array(count));
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  if (dtype === 'F32') into.set(view(Float32Array, bytes));
  else if (dtype === 'BF16') {
    const source = view(Uint16Array, bytes);
    for (let i = 0; i < count; i++) bits[i] = source[i] << 16;
  } else if (dtype === 'F16') {
    const source = view(Uint16Array, bytes),
      table = f16AsF32();
    for (let i = 0; i < count; i++) bits[i] = table[source[i]];
  } else into.set(numbers(name, dtype, bytes));
  return into;
}

/**
 * bfloat16 bits of any real element type: one rounding to nearest, ties to even; beyond the range gives infinity,
 * subnormal numbers stay, a NaN stays a NaN. Fills the front of `out`.
 *
 * Throws as `toF32` does.
 */
export function toBf16(dtype: DType, bytes: Uint8Array, out: Uint16Array): void {
  const count = countElements('a tensor', dtype, bytes);
  room('a tensor', count, out);
  if (dtype === 'BF16') out.set(view(Uint16Array, bytes));
  else if (dtype === 'F16') {
    const source = view(Uint16Array, bytes),
      table = f16AsBf16();
    for (let i = 0; i < count; i++) out[i] = table[source[i]];
  } else if (dtype === 'F32') {
    const source = view(Uint32Array, bytes);
    for (let i = 0; i < count; i++) out[i] = roundToBf16(source[i]);
  } else {
    const source = numbers('a tensor', dtype, bytes);
    const single = new Float32Array(1),
      bits = new Uint32Array(single.buffer);
    for (let i = 0; i < count; i++) {
      single[0] = source[i];
      // Rounding to float32 first may land on a tie between two bfloat16 numbers that the value itself is not: step off
      // it to the value's side.
      if ((bits[0] & 0xffff) === 0x8000) bits[0] += Math.sign(Math.abs(source[i]) - Math.abs(single[0]));
      out[i] = roundToBf16(bits[0]);
    }
  }
}

/** Whole numbers of an integer tensor; `checkpoint` where the type is none or a value is beyond ±(2^53 - 1). */
export function toInts({ name, dtype }: Typed, bytes: Uint8Array): number[] {
  countElements(name, dtype, bytes);
  if (!/^([IU]|BOOL)/.test(dtype)) {
    throw new MMARError('checkpoint', `${name} is ${dtype}: whole numbers are needed, so store it as I64`);
  }
  const values = Array.from(numbers(name, dtype, bytes));
  const odd = values.findIndex((value) => !Number.isSafeInteger(value));
  if (odd >= 0) {
    throw new MMARError('checkpoint', `${name}[${odd}] is about ${values[odd]}: beyond 2^53, so mend the file`);
  }
  return values;
}

/** Elements of the less common types as numbers (64-bit ones may round). */
function numbers(name: string, dtype: DType, bytes: Uint8Array): ArrayLike<number> & Iterable<number> {
  switch (dtype) {
    case 'F64':
      return view(Float64Array, bytes);
    case 'I64':
      return Float64Array.from(view(BigInt64Array, bytes), Number);
    case 'U64':
      return Float64Array.from(view(BigUint64Array, bytes), Number);
    case 'I32':
      return view(Int32Array, bytes);
    case 'U32':
      return view(Uint32Array, bytes);
    case 'I16':
      return view(Int16Array, bytes);
    case 'U16':
      return view(Uint16Array, bytes);
    case 'I8':
      return view(Int8Array, bytes);
    case 'U8':
    case 'BOOL':
      return bytes;
    default:
      throw new MMARError('checkpoint', `${name} is ${dtype}, which mmar does not read: convert it to BF16`);
  }
}

/** The float32 bits `u` as bfloat16 bits. A NaN is set apart: rounding could carry it into infinity. */
function roundToBf16(u: number): number {
  if ((u & 0x7fffffff) > 0x7f800000) return (u >>> 16) | 0x40;
  return (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
}

let f16F32: Uint32Array | undefined;
let f16Bf16: Uint16Array | undefined;

/** float32 bits of all 65,536 half floats: a look-up beats the bit tricks in a loop over millions. */
function f16AsF32(): Uint32Array {
  if (f16F32) return f16F32;
  const bits = new Uint32Array(65536),
    values = new Float32Array(bits.buffer);
  for (let half = 0; half < 0x8000; half++) {
    const exponent = half >> 10,
      mantissa = half & 0x3ff;
    if (exponent === 0) values[half] = mantissa * 2 ** -24;
    else if (exponent < 31) bits[half] = ((exponent + 112) << 23) | (mantissa << 13);
    else bits[half] = 0x7f800000 | (mantissa << 13) | (mantissa && 0x400000);
    bits[half | 0x8000] = bits[half] | 0x80000000;
  }
  f16F32 = bits;
  return bits;
}

const f16AsBf16 = (): Uint16Array => (f16Bf16 ??= Uint16Array.from(f16AsF32(), roundToBf16));

type ViewOf<T> = { new (buffer: ArrayBufferLike, offset: number, length: number): T; BYTES_PER_ELEMENT: number };

/** `bytes` seen as elements; copied only where they do not start on an element's boundary. */
function view<T>(type: ViewOf<T>, bytes: Uint8Array): T {
  const size = type.BYTES_PER_ELEMENT;
  const { buffer, byteOffset, length } = bytes.byteOffset % size ? bytes.slice() : bytes;
  return new type(buffer, byteOffset, length / size);
}

function countElements(name: string, dtype: DType, bytes: Uint8Array): number {
  const count = bytes.length / DTYPE_BYTES[dtype];
  if (Number.isInteger(count)) return count;
  throw new MMARError('shape', `${name}: ${bytes.length} bytes are no whole number of ${dtype} elements`);
}

function room<T extends { length: number }>(name: string, count: number, out: T): T {
  if (out.length >= count) return out;
  throw new MMARError('shape', `${name}: ${count} elements do not fit into an array of ${out.length}`);
}
