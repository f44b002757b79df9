import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../engine/device.ts';
import { type ElementType, roundUp } from '../../engine/tensor.ts';
import { type Linear, linear } from '../../shaders/linear.ts';
import { gemm } from '../../shaders/matmul.ts';
import { bf16, close, device, numbers, raw, run, shapeError, smallDevice, tensor, unpad } from '../gpu.ts';
import { activations, matmul as reference } from '../reference.ts';

const types = ['bf16', 'f32'] as const;
const bound = (type: ElementType): number => (type === 'bf16' ? 4e-3 : 1e-5);

for (const xType of types) {
  for (const wType of types) {
    // Rows are tiled by up to eight; few heights, since each is a pipeline to compile.
    const odd = [
        [1, 1, 1],
        [3, 5, 7],
        [13, 88, 515],
      ],
      more = [
        [1, 896, 33],
        [13, 3, 2],
        [26, 130, 33],
        [8, 256, 1024],
        [64, 192, 96],
        [5, 512, 37], // by eights on lavapipe
      ];
    for (const [m, k, n] of xType !== wType ? odd.slice(1, 2) : xType === 'f32' ? odd : [...odd, ...more]) {
      test(`x ${xType}, w ${wType} [${m}, ${k}] × [${n}, ${k}]`, async () => {
        const x = numbers(m * k, xType),
          w = numbers(n * k, wType, 2);
        const got = await run((p) => raw(linear(p, tensor(xType, [m, k], x), { weight: tensor(wType, [n, k], w) })));
        close(unpad(got, n), reference(x, w, m, k, n), bound(xType));
      });
    }
  }
}

for (const type of types) {
  for (const act of ['none', 'gelu', 'silu'] as const) {
    test(`${type}: act(x w + b) ⊙ gate + residual, act ${act}`, async () => {
      const [m, k, n] = [3, 22, 34],
        wide = 3 * roundUp(n, 4),
        first = roundUp(n, 4);
      const x = numbers(m * k, type),
        w = numbers(n * k, type, 2),
        b = numbers(n, type, 3),
        r = numbers(m * n, type, 4),
        g = numbers((m + 5) * wide, type, 5);
      const layer = (): Linear => ({ weight: tensor(type, [n, k], w), bias: tensor(type, [n], b) });
      const X = () => tensor(type, [m, k], x),
        R = () => tensor(type, [m, n], r),
        G = () => ({ tensor: tensor(type, [m + 5, wide], g), first, firstRow: 5 });
      const a = reference(x, w, m, k, n).map((v, i) => activations[act](v + b[i % n]));
      const gated = a.map((v, i) => v * g[(Math.floor(i / n) + 5) * wide + first + (i % n)]);
      close(await run((p) => linear(p, X(), layer(), { act })), a, bound(type));
      if (type === 'f32' && act !== 'silu') return;
      close(
        await run((p) => linear(p, X(), layer(), { act, gate: G(), residual: R() })),
        gated.map((v, i) => v + r[i]),
        bound(type),
      );
      if (act !== 'none') return;
      close(
        await run((p) => linear(p, X(), layer(), { act, residual: R() })),
        a.map((v, i) => v + r[i]),
        bound(type),
      );
      // The gate's columns beside y's last belong to another part: zeros in y's padding come from y.
      const got = await run((p) => raw(linear(p, X(), layer(), { act, gate: { ...G(), first: 4 } })));
      close(
        unpad(got, n),
        a.map((v, i) => v * g[(Math.floor(i / n) + 5) * wide + 4 + (i % n)]),
        bound(type),
      );
    });
  }
}

test('alpha multiplies the product alone', async () => {
  const x = numbers(15),
    w = numbers(35, 'f32', 2),
    bias = numbers(7, 'f32', 3),
    want = reference(x, w, 3, 5, 7).map((v, i) => -2.5 * v + bias[i % 7]);
  const a = tensor('f32', [3, 5], x),
    b = tensor('f32', [7, 5], w),
    epilogue = { alpha: -2.5, bias: tensor('f32', [7], bias) };
  close(await run((p) => gemm(p, { a, b, transposeB: true, epilogue })), want, 1e-6);
});

test('a result of another type, and a result written where it is wanted', async () => {
  const [m, k, n] = [3, 20, 6],
    x = numbers(m * k, 'bf16'),
    w = numbers(n * k, 'bf16', 2),
    want = reference(x, w, m, k, n);
  const layer: Linear = { weight: tensor('bf16', [n, k], w) };
  close(await run((p) => linear(p, tensor('bf16', [m, k], x), layer, { type: 'f32' })), want, 1e-6);
  const into = tensor('f32', [m, n], numbers(m * n));
  close(await run((p) => linear(p, tensor('bf16', [m, k], x), layer, { into })), want, 1e-6);
  // The residual's type is y's.
  close(
    await run((p) => linear(p, tensor('bf16', [m, k], x), layer, { residual: tensor('f32', [m, n], want) })),
    want.map((v) => 2 * v),
    1e-6,
  );
});

/** A PLoRA layer of some fused projections, W, A and B stacked as the loader does, and its f64 result for x. */
function plora(type: ElementType, widths: number[], k: number, rank: number, on: Device = device) {
  const ranks = roundUp(rank, 4),
    firstColumns: number[] = [];
  let n = 0;
  for (const width of widths) {
    firstColumns.push(roundUp(n, 4));
    n = roundUp(n, 4) + width;
  }
  const a = new Float64Array(widths.length * ranks * k),
    w = new Float64Array(n * k),
    b = new Float64Array(n * ranks),
    scale = 4 / rank;
  widths.forEach((width, i) => {
    a.set(numbers(rank * k, type, 10 + i), i * ranks * k);
    w.set(numbers(width * k, type, 20 + i), firstColumns[i] * k);
    const up = numbers(width * rank, type, 30 + i);
    for (let r = 0; r < width; r++) b.set(up.subarray(r * rank, (r + 1) * rank), (firstColumns[i] + r) * ranks);
  });
  const layer = (): Linear => ({
    weight: tensor(type, [n, k], w, on),
    lora: {
      a: tensor(type, [widths.length * ranks, k], a, on),
      b: tensor(type, [n, ranks], b, on),
      scale,
      firstColumns,
    },
  });
  const want = (x: Float32Array, m: number, lora: boolean): Float64Array => {
    const y = reference(x, w, m, k, n),
      low = reference(x, a, m, k, widths.length * ranks).map((v) => (type === 'bf16' ? bf16(scale * v) : scale * v));
    for (let r = 0; lora && r < m; r++) {
      for (let c = 0; c < n; c++) {
        const i = firstColumns.filter((first) => first <= c).length - 1;
        for (let e = 0; e < rank; e++) y[r * n + c] += low[(r * widths.length + i) * ranks + e] * b[c * ranks + e];
      }
    }
    return y;
  };
  return { n, layer, want };
}

for (const type of types) {
  for (const [widths, k, rank] of [
    [[40], 24, 8],
    [[33], 22, 13],
    [[36, 20], 24, 16],
    [[64, 12, 9], 50, 13],
    [[4, 4, 4], 8, 1],
    [[31, 5, 6], 9, 5],
    [[64, 12, 9], 512, 8], // by eights on lavapipe
  ] as [number[], number, number][]) {
    test(`${type}: PLoRA of rank ${rank} over ${widths}`, async () => {
      const m = 13,
        x = numbers(m * k, type),
        { n, layer, want } = plora(type, widths, k, rank);
      const y = (lora: boolean) => run((p) => raw(linear(p, tensor(type, [m, k], x), layer(), { lora })));
      close(unpad(await y(true), n), want(x, m, true), type === 'bf16' ? 8e-3 : 1e-5);
      close(unpad(await y(false), n), want(x, m, false), bound(type));
    });
  }
}

test('weights in several pieces give the same bits as in one', async () => {
  const [m, k] = [3, 24],
    widths = [36, 20, 11],
    x = numbers(m * k, 'bf16'),
    one = plora('bf16', widths, k, 8),
    b = numbers(one.n, 'bf16', 9),
    r = numbers(m * one.n, 'bf16', 8);
  const result = (on: Device, layer: Linear) =>
    run(
      (p) =>
        linear(
          p,
          tensor('bf16', [m, k], x, on),
          { ...layer, bias: tensor('bf16', [one.n], b, on) },
          {
            lora: true,
            act: 'silu',
            residual: tensor('bf16', [m, one.n], r, on),
            gate: { tensor: tensor('bf16', [m, 80], numbers(m * 80, 'bf16'), on), first: 8 },
          },
        ),
      on,
    );
  const whole = await result(device, one.layer());
  const want = one
    .want(x, m, true)
    .map(
      (v, i) =>
        activations.silu(v + b[i % one.n]) * numbers(m * 80, 'bf16')[Math.floor(i / one.n) * 80 + 8 + (i % one.n)] +
        r[i],
    );
  close(whole, want, 8e-3);
  const small = await smallDevice(600),
    layer = plora('bf16', widths, k, 8, small).layer();
  assert.ok(layer.weight.pieces.length > 2, `${layer.weight.pieces.length} pieces`);
  assert.equal([...(await result(small, layer))], [...whole]);
  small.destroy();
});

/** A matrix turned over. */
const turned = (values: ArrayLike<number>, rows: number, cols: number): Float64Array =>
  Float64Array.from({ length: rows * cols }, (_, i) => values[(i % rows) * cols + Math.floor(i / rows)]);

for (const type of types) {
  for (const [m, k, n] of [
    [1, 1, 1],
    [3, 5, 7],
    [13, 88, 35],
    [22, 130, 33],
  ]) {
    test(`${type}: either side transposed, [${m}, ${k}] × [${k}, ${n}]`, async () => {
      const a = numbers(m * k, type),
        b = numbers(n * k, type, 2),
        want = reference(a, b, m, k, n);
      for (const transposeA of [false, true]) {
        for (const transposeB of [false, true]) {
          const A = transposeA ? tensor(type, [k, m], turned(a, m, k)) : tensor(type, [m, k], a),
            B = transposeB ? tensor(type, [n, k], b) : tensor(type, [k, n], turned(b, n, k));
          const y = await run((p) => raw(gemm(p, { a: A, b: B, transposeA, transposeB, type: 'f32' })));
          close(unpad(y, n), want, 1e-5);
        }
      }
    });
  }
}

test('a product is added to what is there, once or over the pieces of b', async () => {
  const [m, k, n] = [4, 30, 9],
    a = numbers(m * k),
    b = numbers(n * k, 'f32', 2),
    start = numbers(m * n, 'f32', 3),
    want = reference(a, b, m, k, n).map((v, i) => 2 * v + start[i]);
  const small = await smallDevice(512);
  for (const [on, transposeB] of [
    [device, true],
    [device, false],
    [small, true],
    [small, false],
  ] as const) {
    const B = tensor('f32', transposeB ? [n, k] : [k, n], transposeB ? b : turned(b, n, k), on);
    assert.is(B.pieces.length > 1, on === small);
    const into = tensor('f32', [m, n], start, on);
    const A = tensor('f32', [m, k], a, on);
    const got = await run(
      (p) => gemm(p, { a: A, b: B, transposeB, into, accumulate: true, epilogue: { alpha: 2 } }),
      on,
    );
    close(got, want, 1e-6);
  }
  small.destroy();
});

test('no rows', async () => {
  assert.is(
    (await run((p) => linear(p, tensor('f32', [0, 5], []), { weight: tensor('f32', [3, 5], numbers(15)) }))).length,
    0,
  );
  assert.is(
    (await run((p) => linear(p, tensor('bf16', [0, 24], []), plora('bf16', [8, 8], 24, 4).layer(), { lora: true })))
      .length,
    0,
  );
});

test('zeros give act(bias); large numbers give no NaN', async () => {
  const bias = tensor('f32', [3], [1, -2, 0]),
    weight = tensor('f32', [3, 5], Array(15).fill(1e18));
  assert.equal(
    [...(await run((p) => linear(p, tensor('f32', [1, 5], Array(5).fill(0)), { weight, bias })))],
    [1, -2, 0],
  );
  for (const act of ['none', 'gelu', 'silu'] as const) {
    const got = await run((p) =>
      linear(
        p,
        tensor('f32', [3, 5], [1e18, 1e18, 0, 1, -1, -1e18, -1e18, 0, 0, 0, 1, 1, 1, 1, -1e18]),
        { weight, bias },
        { act },
      ),
    );
    assert.ok(got.every(Number.isFinite), `${act}: ${got}`);
    assert.ok(Math.abs(got[0] / 2e36 - 1) < 1e-5 && (act === 'none' ? got[3] < -1e36 : got[3] === 0), `${act}: ${got}`);
  }
});

test('operands that do not fit are errors that name them', async () => {
  const x = () => tensor('f32', [2, 5], numbers(10)),
    weight = () => tensor('f32', [3, 5], numbers(15));
  await shapeError(
    (p) => linear(p, x(), { weight: tensor('f32', [3, 4], numbers(12)) }),
    /matmul test: test f32\[2,5\], test f32\[3,4\]/,
  );
  await shapeError(
    (p) => linear(p, x(), { weight: weight(), bias: tensor('f32', [4], numbers(4)) }),
    /test f32\[3,5\], test f32\[4\]/,
  );
  await shapeError(
    (p) => linear(p, x(), { weight: weight(), bias: tensor('bf16', [3], numbers(3)) }),
    /test f32\[3,5\], test bf16\[3\]/,
  );
  await shapeError(
    (p) => linear(p, x(), { weight: weight() }, { residual: tensor('f32', [2, 4], numbers(8)) }),
    /test f32\[2,5\], test f32\[2,4\]/,
  );
  await shapeError(
    (p) => linear(p, x(), { weight: weight() }, { gate: { tensor: tensor('bf16', [2, 4], numbers(8)), first: 0 } }),
    /test f32\[2,5\], test bf16\[2,4\]/,
  );
  await shapeError(
    (p) => linear(p, x(), { weight: weight() }, { gate: { tensor: tensor('f32', [2, 4], numbers(8)), first: 4 } }),
    /test f32\[2,5\], test f32\[2,4\]/,
  );
  await shapeError(
    (p) => linear(p, x(), { weight: weight() }, { into: tensor('f32', [2, 4], numbers(8)) }),
    /test f32\[2,5\], test f32\[2,4\]/,
  );
  await shapeError(
    (p) =>
      linear(
        p,
        x(),
        { weight: weight() },
        { into: tensor('bf16', [2, 3], numbers(6)), residual: tensor('f32', [2, 3], numbers(6)) },
      ),
    /test bf16\[2,3\], test f32\[2,3\]/,
  );
});

test('no option is passed over', async () => {
  const x = () => tensor('f32', [2, 5], numbers(10)),
    weight = () => tensor('f32', [3, 5], numbers(15)),
    y = (type: ElementType) => tensor(type, [2, 3], numbers(6));
  await shapeError(
    (p) => linear(p, x(), { weight: weight() }, { residual: y('f32'), type: 'bf16' }),
    /residual of y's type/,
  );
  await shapeError((p) => linear(p, x(), { weight: weight() }, { into: y('f32'), type: 'bf16' }), /y of type bf16/);
  await shapeError((p) => linear(p, x(), { weight: weight() }, { lora: true }), /a layer with a low-rank part/);
  const square = () => tensor('f32', [5, 5], numbers(25));
  await shapeError((p) => gemm(p, { a: x(), b: square(), accumulate: true }), /accumulate with into/);
  const wide = () => tensor('f32', [2, 8], numbers(16));
  await shapeError(
    (p) => linear(p, x(), { weight: weight() }, { gate: { tensor: wide(), first: 2 } }),
    /from a multiple of four on, not 2/,
  );
  await shapeError(
    (p) => gemm(p, { a: x(), b: square(), plus: { a: x(), b: square(), firstColumns: [0] } }),
    /transposeB beside a low-rank term/,
  );
  for (const firstColumns of [[4], [0, 3], [0, 4, 8, 12]]) {
    const low = tensor('f32', [2, 4 * firstColumns.length], numbers(8 * firstColumns.length));
    const up = tensor('f32', [20, 4], numbers(80));
    await shapeError(
      (p) =>
        gemm(p, { a: x(), b: tensor('f32', [20, 5], []), transposeB: true, plus: { a: low, b: up, firstColumns } }),
      /one to three runs of columns from 0 in whole quads/,
    );
  }
});

test.run();
