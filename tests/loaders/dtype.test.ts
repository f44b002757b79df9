import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type DType, toBf16, toF32, toInts } from '../../loaders/dtype.ts';

const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const tensor = (dtype: DType) => ({ name: 'w', dtype });

/** The value of float bits with `e` exponent and `m` mantissa bits, by the definition of IEEE 754. */
function floatOf(bits: number, e: number, m: number): number {
  const sign = bits >>> (e + m) ? -1 : 1;
  const exponent = (bits >>> m) & (2 ** e - 1),
    mantissa = bits & (2 ** m - 1),
    bias = 2 ** (e - 1) - 1;
  if (exponent === 2 ** e - 1) return mantissa ? NaN : sign * Infinity;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - m);
  return sign * (1 + mantissa / 2 ** m) * 2 ** (exponent - bias);
}

/** `assert.is` makes its message first, which takes seconds over all of them. */
function same(got: number, wanted: number, what: number): void {
  if (!Object.is(got, wanted)) assert.is(got, wanted, `${what}`);
}

/** All bfloat16 numbers from 0 up, and in place of infinity the number that would come next. */
const ladder = Array.from({ length: 0x7f81 }, (_, i) => (i === 0x7f80 ? 2 ** 128 : floatOf(i, 8, 7)));

/** The nearest bfloat16 by search; midpoints are exact in f64. */
function nearestBf16(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0,
    size = Math.abs(x);
  if (size >= 2 ** 128) return sign | 0x7f80;
  let low = 0,
    high = 0x7f80;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ladder[middle] <= size) low = middle;
    else high = middle;
  }
  const midpoint = ladder[low] / 2 + ladder[high] / 2;
  if (size > midpoint || (size === midpoint && low % 2)) low++;
  return sign | low;
}

function bf16Of(dtype: DType, view: ArrayBufferView, count: number): Uint16Array {
  const out = new Uint16Array(count);
  toBf16(dtype, bytesOf(view), out);
  return out;
}

test('all half floats to float32', () => {
  const values = toF32(tensor('F16'), bytesOf(all));
  for (const i of all) same(values[i], floatOf(i, 5, 10), i);
});

test('all bfloat16 to float32 and back', () => {
  const values = toF32(tensor('BF16'), bytesOf(all));
  for (const i of all) same(values[i], floatOf(i, 8, 7), i);
  const back = bf16Of('F32', values, 65536);
  for (let i = 0; i < 65536; i++) if (back[i] !== i && back[i] !== (i | 0x40)) assert.is(back[i], i);
  assert.equal(bf16Of('BF16', all, 65536), all);
});

test('all half floats to bfloat16', () => {
  const out = bf16Of('F16', all, 65536);
  for (let i = 0; i < 65536; i++) {
    const value = floatOf(i, 5, 10);
    if (Number.isNaN(value)) assert.ok(Number.isNaN(floatOf(out[i], 8, 7)) && out[i] & 0x40);
    else if (out[i] !== nearestBf16(value)) assert.is(out[i], nearestBf16(value), `${i}`);
  }
});

test('float32 to bfloat16: below, on and above every tie, and between', () => {
  const lows = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
  const bits = Uint32Array.from({ length: 65536 * 6 }, (_, i) => Math.floor(i / 6) * 65536 + lows[i % 6]);
  const values = new Float32Array(bits.buffer);
  const out = bf16Of('F32', values, values.length);
  for (let i = 0; i < values.length; i++) {
    if ((bits[i] & 0x7fffffff) > 0x7f800000) assert.ok((out[i] & 0x7fc0) === 0x7fc0 && out[i] >> 15 === bits[i] >>> 31);
    else if (out[i] !== nearestBf16(values[i])) assert.is(out[i], nearestBf16(values[i]), bits[i].toString(16));
  }
  assert.is(bf16Of('F32', new Float32Array([3.4028234e38]), 1)[0], 0x7f80, 'the greatest float32 overflows');
});

test('float64 to bfloat16 rounds once', () => {
  const values: number[] = [0, -0, Infinity, -Infinity, 1e300, -1e300, 5e-324, 2 ** -134, 2 ** -134 * (1 + 2 ** -52)];
  for (let i = 0; i < 0x7f80; i++) {
    const tie = (ladder[i] + ladder[i + 1]) / 2;
    values.push(tie, -tie, tie * (1 + 2 ** -50), tie * (1 - 2 ** -50), tie * (1 - 2 ** -24));
    values.push(ladder[i] * (1 + 2 ** -30));
  }
  const out = bf16Of('F64', Float64Array.from(values), values.length);
  for (const [i, value] of values.entries()) same(out[i], nearestBf16(value), value);
  assert.ok(Number.isNaN(floatOf(bf16Of('F64', new Float64Array([NaN]), 1)[0], 8, 7)));
});

test('whole numbers of every type', () => {
  assert.equal(toInts(tensor('I64'), bytesOf(new BigInt64Array([-1n, 2n ** 53n - 1n]))), [-1, 2 ** 53 - 1]);
  assert.equal(toInts(tensor('I32'), bytesOf(new Int32Array([-5, 2 ** 31 - 1]))), [-5, 2 ** 31 - 1]);
  assert.equal(toInts(tensor('U32'), bytesOf(new Uint32Array([2 ** 32 - 1]))), [2 ** 32 - 1]);
  assert.equal(toInts(tensor('I16'), bytesOf(new Int16Array([-2]))), [-2]);
  assert.equal(toInts(tensor('U8'), new Uint8Array([0, 255])), [0, 255]);
  assert.equal(toInts(tensor('I8'), new Uint8Array([255])), [-1]);
  assert.equal(toInts(tensor('BOOL'), new Uint8Array([1, 0])), [1, 0]);
  assert.throws(() => toInts(tensor('I64'), bytesOf(new BigInt64Array([0n, 2n ** 53n]))), /w\[1\].*2\^53/);
  assert.throws(() => toInts(tensor('F32'), new Uint8Array(4)), /F32.*I64/);
});

test('unaligned bytes, integers as floats, wrong sizes', () => {
  const shifted = new Uint8Array(9);
  shifted.set(bytesOf(new Float32Array([1.5, -2])), 1);
  assert.equal(toF32(tensor('F32'), shifted.subarray(1)), new Float32Array([1.5, -2]));
  assert.equal(toF32(tensor('U8'), new Uint8Array([3, 255])), new Float32Array([3, 255]));
  assert.equal(toF32(tensor('I64'), bytesOf(new BigInt64Array([-7n]))), new Float32Array([-7]));
  assert.equal(toF32(tensor('F64'), bytesOf(new Float64Array([0.1]))), new Float32Array([0.1]));
  assert.throws(() => toF32(tensor('F32'), new Uint8Array(6)), /6 bytes/);
  assert.throws(() => toF32(tensor('F8_E4M3'), new Uint8Array(6)), /F8_E4M3/);
  assert.throws(() => toBf16('F32', new Uint8Array(8), new Uint16Array(1)), /do not fit/);
});

test('a view into a larger array is filled in place', () => {
  const target = new Float32Array(4);
  toF32(tensor('BF16'), bytesOf(new Uint16Array([0x3f80, 0xc000])), target.subarray(1, 3));
  assert.equal(target, new Float32Array([0, 1, -2, 0]));
});

test.run();
