// The kernel between two diffusion steps gives the bits of its pieces, each a kernel of its own, on software's way and hardware's.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ElementType, Tensor } from '../../engine/tensor.ts';
import { denoiseStep } from '../../shaders/denoise_step.ts';
import { linear } from '../../shaders/linear.ts';
import { normalize } from '../../shaders/norm.ts';
import { samplerStep } from '../../shaders/sampler_step.ts';
import { hardwareDevice, numbers, run, shapeError, device as software, tensor } from '../gpu.ts';

const hardware = await hardwareDevice(),
  eps = 1e-6,
  steps = 3,
  positions = 7;

type Shape = readonly [type: ElementType, tokens: number, branches: 1 | 2, width: number, d: number, noisy: boolean];

/** Operands of some tokens on a device, the same each time. */
function operands(on: typeof software, type: ElementType, tokens: number, branches: number, width: number, d: number) {
  const rows = branches * tokens,
    wide = 4 * Math.ceil(width / 4);
  const t = (kind: ElementType, shape: [number, number], seed: number): Tensor =>
    tensor(kind, shape, numbers(shape[0] * shape[1], kind, seed), on);
  const half = numbers(tokens * d, 'f32', 1);
  return {
    h: t(type, [rows, width], 2),
    x: tensor('f32', [rows, d], branches === 2 ? [...half, ...half] : half, on),
    layers: {
      final: { weight: t(type, [d, width], 3), bias: t(type, [1, d], 4) },
      input: { weight: t(type, [width, d], 5), bias: t(type, [1, width], 6) },
      eps,
    },
    modulation: { tensor: t(type, [rows + 2, 3 * wide], 7), firstRow: 2, shift: wide, scale: 0 },
    tables: {
      coefficients: tensor('f32', [steps, 4], [0.5, 0.25, 0.7, 2, 0.125, -2, 1.5, 1, 1, 1, 0, 0], on),
      step: tensor('u32', [1], [1], on),
      guidance: tensor('f32', [1], [2.5], on),
      stepNoise: t('f32', [steps * positions, d], 8),
      chosen: tensor(
        'u32',
        [tokens],
        Uint32Array.from({ length: tokens }, (_, i) => (3 * i) % positions),
        on,
      ),
    },
  };
}

/** Hardware's way, which software compiles for seconds, takes the first two. */
const shapes: Shape[] = [
  ['bf16', 3, 2, 70, 5, true],
  ['f32', 2, 1, 33, 132, false],
  ['bf16', 32, 2, 256, 16, false],
  ['bf16', 5, 1, 40, 18, true],
];

for (const [kind, on] of [
  ['software', software],
  ['hardware', hardware],
] as const)
  for (const [type, tokens, branches, width, d, noisy] of shapes.slice(0, on.software ? 4 : 2))
    test(`${kind}: ${tokens} tokens in ${branches} branches, ${type}, ${width} wide, ${d} channels`, async () => {
      const one = operands(on, type, tokens, branches, width, d),
        other = operands(on, type, tokens, branches, width, d),
        offset = noisy ? 0 : 1;
      const tables = noisy ? one.tables : { ...one.tables, stepNoise: undefined };
      let launches = 0;
      const h = await run((p) => {
        const next = denoiseStep(p, one.h, one.x, one.layers, one.modulation, tables, branches, offset);
        launches = p.dispatches.length;
        return next;
      }, on);
      const want = await run((p) => {
        const { layers, modulation, x } = other,
          normed = normalize(p, other.h, { kind: 'layer', eps, modulation });
        samplerStep(p, x, linear(p, normed, layers.final, { type: 'f32' }), other.tables, branches, offset);
        return linear(p, x, layers.input, { type });
      }, on);
      assert.is(launches, 1);
      assert.equal([...(await on.read(one.x))], [...(await on.read(other.x))]);
      assert.equal([...h], [...want]);
    });

test('many rows on hardware take the kernels of the pieces', async () => {
  const { h, x, layers, modulation, tables } = operands(hardware, 'bf16', 33, 2, 40, 8);
  const names: string[] = [];
  await run((p) => {
    denoiseStep(p, h, x, layers, modulation, tables, 2, 0);
    names.push(...p.dispatches.map(({ name }) => name));
  }, hardware);
  assert.equal(names, ['layer_norm', 'matmul', 'sampler_step', 'matmul']);
});

test('operands that do not fit are errors that name them', async () => {
  const { h, layers, modulation, tables } = operands(software, 'bf16', 2, 1, 8, 4);
  await shapeError(
    (p) => denoiseStep(p, h, tensor('f32', [3, 4], []), layers, modulation, tables, 1, 0),
    /denoise_step: test f32\[3,4\], test bf16\[4,24\]; want x f32\[2, d\]/,
  );
});

test.run();
