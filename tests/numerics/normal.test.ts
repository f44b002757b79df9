import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bf16Bits } from '../../engine/tensor.ts';
import { erfcx, gaussLegendre } from '../../numerics/normal.ts';
import { numberTypes, relativeError, roundTo } from '../../numerics/number_types.ts';
import { erfc } from '../reference.ts';

test('erfcx is e^(x²) erfc x', () => {
  for (let x = 0; x < 20; x += 0.0137) {
    const want = erfc(x) * Math.exp(x * x);
    assert.ok(Math.abs(erfcx(x) / want - 1) < 1e-13, `${erfcx(x)} at ${x}, want ${want}`);
  }
  assert.ok(Math.abs(erfcx(1e6) * 1e6 * Math.sqrt(Math.PI) - 1) < 1e-11);
});

test('the rule of n nodes is exact up to degree 2n - 1', () => {
  for (const n of [1, 2, 5, 8, 12]) {
    const rule = gaussLegendre(n);
    for (let degree = 0; degree < 2 * n; degree++) {
      const got = rule.reduce((sum, { node, weight }) => sum + weight * node ** degree, 0);
      assert.ok(Math.abs(got - (degree % 2 ? 0 : 2 / (degree + 1))) < 1e-14, `n ${n}, degree ${degree}: ${got}`);
    }
  }
});

test('rounding takes the nearest number of the type, ties to even', () => {
  const bf16 = (x: number) => new Float32Array(new Uint32Array([bf16Bits(x) << 16]).buffer)[0];
  for (let i = 1; i < 5000; i++) {
    const x = Math.fround(Math.tan(i) * 10 ** ((i % 60) - 30));
    assert.is(roundTo('bf16', x), bf16(x), `bf16 of ${x}`);
    assert.is(roundTo('f32', x * (1 + 2 ** -30)), Math.fround(x * (1 + 2 ** -30)), `f32 of ${x}`);
  }
  assert.is(roundTo('f16', 1 + 2 ** -11), 1);
  assert.is(roundTo('f16', 1 + 3 * 2 ** -11), 1 + 2 ** -9);
  assert.is(roundTo('f16', -65519), -65504);
  assert.is(roundTo('f16', 65520), Infinity);
  assert.is(roundTo('f16', 1.4 * 2 ** -24), 2 ** -24);
  assert.is(roundTo('f16', 0), 0);
  assert.ok(Number.isNaN(roundTo('bf16', NaN)));
});

test("δ is the paper's", () => {
  assert.equal(numberTypes.map(relativeError), [1 / 128, 1 / 1024, 2 ** -23]);
});

test.run();
