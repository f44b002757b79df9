// Bounds of shaders/lib/math.wgsl against f64, over the whole range of each function. Measured on both software
// adapters (which agree to the bit): exp_ 9.6e-8, log_ 7.7e-8, sin_cos_ 1.9e-7 (to 4096), 1.3e-6 (to 32768), erfc_ 1.2e-6
// (to 3), 7.8e-6 (to 9), gelu 4.9e-7 (over -1), 2.3e-6 (over -5), 1.8e-5 (over -12), silu 1.7e-7.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bf16, device } from '../gpu.ts';
import { erfc, gelu, silu } from '../reference.ts';
import { each, linear, logarithmic, probe, randomFloats } from './probe.ts';

const n = 1 << 16,
  fround = Math.fround;

/** Fails where |got - f(x)| is over bound × size(f(x)). */
function within(
  got: Float32Array,
  x: Float32Array,
  f: (x: number) => number,
  bound: number,
  size: (y: number) => number,
): void {
  let most = 0,
    at = NaN;
  for (let i = 0; i < x.length; i++) {
    const want = f(x[i]),
      error = Math.abs(got[i] - want) / size(want);
    if (!(error <= most)) [most, at] = [error, x[i]];
  }
  assert.ok(most <= bound, `off by ${most} at ${at}, over ${bound}`);
}
const relative = Math.abs,
  absolute = () => 1;

test('the f64 reference: erfc at known values', () => {
  for (const [x, y] of [
    [0.5, 0.4795001221869535],
    [1, 0.15729920705028513],
    [2.5, 4.069520174449589e-4],
    [5, 1.5374597944280349e-12],
    [-1, 1.8427007929497148],
  ]) {
    assert.ok(Math.abs(erfc(x) / y - 1) < 1e-12, `${x}: ${erfc(x)}`);
  }
});

test('exp_: 2e-7 relative; 0 and the largest power of e outside', async () => {
  for (const x of [linear(-87.3, 88.7, n), linear(-0.4, 0.4, n)])
    within(await probe(each('exp_'), x), x, Math.exp, 2e-7, relative);
  const far = await probe(each('exp_'), [-87.4, -1e3, -3.4e38, -0, 88.8, 1e3, 3.4e38, 0]);
  assert.equal([...far.subarray(0, 4)], [0, 0, 0, 1]);
  for (const y of far.subarray(4, 7)) assert.ok(y > 3.3e38 && y < Infinity, `${y}`);
});

test('log_: 2e-7 of max(1, |log x|), all normal numbers; exactly 0 at 1', async () => {
  for (const x of [
    logarithmic(1.1755e-38, 3.4e38, n),
    linear(0.5, 2, n),
    Float32Array.from({ length: n }, (_, i) => (i + 1) * 2 ** -24),
  ]) {
    within(await probe(each('log_'), x), x, Math.log, 2e-7, (y) => Math.max(1, Math.abs(y)));
  }
  assert.equal([...(await probe(each('log_'), [1, 1, 1, 1]))], [0, 0, 0, 0]);
});

test('sin_cos_: 2e-7 up to 4096, 2e-6 up to 32768, 1e-5 up to 1e5', async () => {
  for (const [top, bound] of [
    [1, 2e-7],
    [256, 2e-7],
    [4096, 2e-7],
    [32768, 2e-6],
    [1e5, 1e-5],
  ]) {
    const x = linear(-top, top, n);
    for (const [field, f] of [
      ['x', Math.sin],
      ['y', Math.cos],
    ] as const) {
      within(
        await probe(
          `vec4<f32>(sin_cos_(v.x).${field}, sin_cos_(v.y).${field}, sin_cos_(v.z).${field}, sin_cos_(v.w).${field})`,
          x,
        ),
        x,
        f,
        bound,
        absolute,
      );
    }
  }
});

test('erfc_: 2e-6 relative from -9 to 3, 8e-6 from 3 to 9', async () => {
  for (const [from, to, bound] of [
    [-9, 3, 2e-6],
    [3, 9, 8e-6],
  ]) {
    const x = linear(from, to, n);
    within(await probe(each('erfc_'), x), x, erfc, bound, relative);
  }
  assert.equal([...(await probe(each('erfc_'), [-20, -3e38, -1e9, -10]))], [2, 2, 2, 2]);
  const [last, ...far] = await probe(each('erfc_'), [9, 9.5, 20, 3e38]);
  assert.ok(last > 0);
  assert.equal(far, [last, last, last]);
});

test('gelu: 6e-7 relative over -1, 3e-6 over -5, 2e-5 over -12; 0 under', async () => {
  for (const [from, to, bound] of [
    [-1, 40, 6e-7],
    [-5, -1, 3e-6],
    [-12, -5, 2e-5],
  ]) {
    const x = linear(from, to, n);
    within(await probe('gelu(v)', x), x, (v) => (v === 0 ? 1e-300 : gelu(v)), bound, relative);
  }
  assert.equal([...(await probe('gelu(v)', [-12.1, -3e38, 0, 3e38]))], [0, 0, 0, fround(3e38)]);
});

test('silu: 3e-7 relative over -87; 0 under', async () => {
  for (const x of [linear(-86.9, 100, n), linear(-1, 1, n)])
    within(await probe('silu(v)', x), x, (v) => (v === 0 ? 1e-300 : silu(v)), 3e-7, relative);
  assert.equal([...(await probe('silu(v)', [-87.1, -3e38, 0, 3e38]))], [0, 0, 0, fround(3e38)]);
});

test('to_bf16 rounds to nearest even', async () => {
  const bits = new Uint32Array(n),
    x = new Float32Array(bits.buffer);
  let state = 1;
  // Every upper half once: below, at and above the tie, and some bits in between.
  for (let high = 0; high < n; high++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bits[high] = ((high << 16) | [0, 0x7fff, 0x8000, 0x8001, 0xffff, state >>> 16][high % 6]) >>> 0;
  }
  for (let i = 0; i < n; i++) if (Number.isNaN(x[i])) bits[i] = 0x3f808000;
  const ties = new Float32Array(
    Uint32Array.from({ length: n }, (_, high) => ((high & 0x7f80) === 0x7f80 ? 0 : ((high << 16) | 0x8000) >>> 0))
      .buffer,
  );
  const edges = new Float32Array(
    new Uint32Array([
      0x7f7fffff, 0xff7fffff, 0x7f7f7fff, 0x7f800000, 0xff800000, 0x80000000, 1, 0x80008000, 0x7fffff, 0x007f8000,
      0x00808000, 0x7f7f8000,
    ]).buffer,
  );
  for (const values of [x, ties, edges]) {
    const got = await probe('from_bf16(to_bf16(v))', values);
    for (let i = 0; i < values.length; i++)
      assert.ok(Object.is(got[i], bf16(values[i])), `${values[i]}: ${got[i]}, want ${bf16(values[i])}`);
  }
  const nans = await probe(
    'from_bf16(to_bf16(v))',
    new Float32Array(new Uint32Array([0x7f800001, 0xffffffff, 0x7fc00000, 0x7fffffff]).buffer),
  );
  assert.ok(nans.every(Number.isNaN), `${nans}`);
});

// What the functions above, and the same bits on every adapter, rest on. A GPU's division and root may be off by a few
// units, and it may fuse; the software adapters do neither.
if (device.software) {
  const a = randomFloats(n, -60, 60, 1),
    b = randomFloats(n, -60, 60, 7),
    c = randomFloats(n, -2, 2, 3),
    d = randomFloats(n, -2, 2, 5);
  const next = (i: number) => (i & ~3) + ((i + 1) & 3); // .yzwx
  const exact: [string, Float32Array, Float32Array, (i: number) => number][] = [
    ['v + w', a, b, (i) => a[i] + b[i]],
    ['v * w', a, b, (i) => a[i] * b[i]],
    ['v / w', a, b, (i) => a[i] / b[i]],
    ['sqrt(abs(v))', a, b, (i) => Math.sqrt(Math.abs(a[i]))],
    ['1.0 / sqrt(abs(v))', a, b, (i) => 1 / fround(Math.sqrt(Math.abs(a[i])))],
    ['v * w + v.yzwx', c, d, (i) => fround(c[i] * d[i]) + c[next(i)]],
    ['v * w - v.yzwx', c, d, (i) => fround(c[i] * d[i]) - c[next(i)]],
    ['(v * w - 1.1) * v + 1.1', c, d, (i) => fround(fround(fround(c[i] * d[i]) - fround(1.1)) * c[i]) + fround(1.1)],
    ['floor(v * 1.4375 + 0.5)', c, d, (i) => Math.floor(fround(fround(c[i] * fround(1.4375)) + 0.5))],
  ];
  for (const [f, x, x1, want] of exact) {
    test(`${f} is rounded after each step, not fused`, async () => {
      const got = await probe(f, x, x1);
      for (let i = 0; i < n; i++)
        assert.ok(Object.is(got[i], fround(want(i))), `${x[i]}, ${x1[i]}: ${got[i]}, want ${fround(want(i))}`);
    });
  }
}

test.run();
