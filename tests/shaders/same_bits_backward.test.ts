// Software adapters give the same bits on the way back too: the gradients that each of these leaves hash to a recorded
// number. After a change that means to change bits, take the number that the failure tells, from both adapters.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Recorder } from '../../engine/program.ts';
import type { ElementType, Tensor } from '../../engine/tensor.ts';
import { adamw, adamwStep } from '../../shaders/adamw.ts';
import { addSilu } from '../../shaders/add_silu.ts';
import { gqa, selfAttention } from '../../shaders/attention.ts';
import { crossEntropy } from '../../shaders/cross_entropy.ts';
import { embedTokens } from '../../shaders/gather_rows.ts';
import { globalNorm } from '../../shaders/global_norm.ts';
import { layerNorm } from '../../shaders/layer_norm.ts';
import { linear } from '../../shaders/linear.ts';
import { maskTokens } from '../../shaders/mask_tokens.ts';
import { mse } from '../../shaders/mse.ts';
import { rmsNorm } from '../../shaders/rms_norm.ts';
import { rope } from '../../shaders/rope.ts';
import { scale } from '../../shaders/scale.ts';
import { swiglu } from '../../shaders/swiglu.ts';
import { device, numbers, run, tensor } from '../gpu.ts';
import { gradients, type Operand, random } from '../gradients.ts';

/** FNV-1a over the bytes of all values. */
function hash(all: Float32Array[]): string {
  let h = 2166136261;
  for (const values of all)
    for (const byte of new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
      h = Math.imul(h ^ byte, 16777619) >>> 0;
  return h.toString(16).padStart(8, '0');
}

type Forward = (p: Recorder, t: Record<string, Tensor>) => Tensor;

function cases(type: ElementType): [string, Record<string, Operand>, Forward][] {
  const t = (rows: number, cols: number, seed: number): Operand => random(type, [rows, cols], seed);
  const sequences = (count: number, past: number, capacity: number) => ({
    branches: 1,
    capacity,
    ids: tensor(
      'u32',
      [1, capacity],
      numbers(capacity).map((v) => Math.floor(5 + 4 * v)),
    ),
    position: tensor('u32', [1], [past]),
    count,
  });
  return [
    [
      'a layer with PLoRA',
      { x: t(37, 40, 1), w: t(64, 40, 2), b: t(1, 64, 3), a: t(16, 40, 4), u: t(64, 8, 5) },
      (p, { x, w, b, a, u }) =>
        linear(
          p,
          x,
          { weight: w, bias: b, lora: { a, b: u, scale: 0.3, firstColumns: [0, 24] } },
          { lora: true, act: 'gelu' },
        ),
    ],
    [
      'a layer with a gate',
      { x: t(37, 40, 1), w: t(64, 40, 2), g: t(37, 72, 3), r: t(37, 64, 4) },
      (p, { x, w, g, r }) =>
        linear(p, x, { weight: w }, { act: 'silu', gate: { tensor: scale(p, g, 1), first: 4 }, residual: r }),
    ],
    [
      'layer_norm',
      { x: t(37, 70, 1), w: t(1, 70, 2), b: t(1, 70, 3), m: t(37, 144, 4) },
      (p, { x, w, b, m }) =>
        layerNorm(p, x, { weight: w, bias: b }, 1e-6, { tensor: scale(p, m, 1), firstRow: 0, shift: 0, scale: 72 }),
    ],
    ['rms_norm', { x: t(37, 70, 1), w: t(1, 70, 2) }, (p, { x, w }) => rmsNorm(p, x, w, 1e-6)],
    ['swiglu', { x: t(5, 64, 1) }, (p, { x }) => swiglu(p, x, 32)],
    ['add_silu', { a: t(5, 64, 1), b: t(5, 64, 2) }, (p, { a, b }) => addSilu(p, a, b, tensor('u32', [1], [0]), 1, 1)],
    ['self_attention', { x: t(33, 96, 1) }, (p, { x }) => selfAttention(p, x, 4, 8)],
    [
      'rope and gqa',
      { x: t(21, 128, 1) },
      (p, { x }) => {
        const seq = sequences(21, 0, 30),
          heads = { heads: 4, kvHeads: 2, headDim: 16 };
        const cache = { k: tensor(type, [30, 32], []), v: tensor(type, [30, 32], []) };
        const frequency = tensor(
          'f32',
          [8],
          Array.from({ length: 8 }, (_, i) => 1e6 ** (-i / 8)),
        );
        return gqa(p, rope(p, x, frequency, cache, seq, heads), cache, seq, heads, true);
      },
    ],
    [
      'mask_tokens',
      { x: t(37, 20, 1), token: t(1, 20, 2), pos: t(37, 20, 3) },
      (p, { x, token, pos }) =>
        maskTokens(
          p,
          x,
          tensor(
            'u32',
            [37],
            Array.from({ length: 37 }, (_, i) => i % 2),
          ),
          token,
          pos,
        ),
    ],
    [
      'embed_tokens',
      { table: t(10, 20, 1) },
      (p, { table }) => embedTokens(p, [table], sequences(70, 0, 70), 70, type),
    ],
  ];
}

const want: Record<string, string[]> = {
  bf16: [
    '3fee87e8',
    '25c944de',
    'a7296afd',
    '3780721d',
    '8a616c52',
    'cc200d7d',
    '7604ee19',
    'd6a2f9fe',
    '9991c38a',
    '7e287c92',
  ],
  f32: [
    'b4f7cd99',
    'd8b86274',
    '20ab54fe',
    'c94e7645',
    '4b308e33',
    '4f0fd485',
    'bb942cb3',
    'df8656a2',
    '3933ee12',
    'f3875f93',
  ],
  losses: ['3c23b3b3', '3a700593', '99b1c381'],
};

if (device.software) {
  for (const type of ['bf16', 'f32'] as const)
    for (const [i, [name, operands, record]] of cases(type).entries())
      test(`${name} ${type}`, async () => {
        const { of } = await gradients(operands, record);
        assert.is(hash(Object.values(of)), want[type][i]);
      });

  const weights = tensor('f32', [37], numbers(37)),
    losses: [string, (p: Recorder, x: Tensor) => Tensor][] = [
      ['mse', (p, x) => mse(p, x, tensor('f32', [37, 70], numbers(37 * 70, 'f32', 2)), weights)],
      [
        'cross_entropy',
        (p, x) =>
          crossEntropy(
            p,
            scale(p, x, 9),
            tensor(
              'i32',
              [37],
              Array.from({ length: 37 }, (_, i) => (i % 5) * 7 - 1),
            ),
            weights,
            69,
          ),
      ],
    ];
  for (const [i, [name, record]] of losses.entries())
    test(name, async () => {
      const x = random('f32', [37, 70], 1);
      const loss = await run((p) => record(p, tensor('f32', x.shape, x.values)));
      const { of } = await gradients({ x }, (p, t) => record(p, t.x));
      assert.is(hash([loss, of.x]), want.losses[i]);
    });

  test('global_norm and adamw', async () => {
    const settings = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.02, clip: 3 },
      of = (seed: number) => tensor('f32', [37, 300], numbers(37 * 300, 'f32', seed));
    const state = { master: of(1), moment1: of(2), moment2: of(3), average: of(4) };
    await run((p) => {
      const gradient = of(5);
      adamw(
        p,
        state,
        gradient,
        globalNorm(p, [gradient]),
        tensor('f32', [4], adamwStep(1e-2, 3, settings, 0.9)),
        settings,
      );
    });
    const after = await Promise.all(Object.values(state).map((t) => device.read(t)));
    assert.is(hash(after), want.losses[2]);
  });
}

test.run();
