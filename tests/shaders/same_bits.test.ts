// Software adapters give the same bits: what each of these computes from fixed inputs hashes to a recorded number.
// After a change that means to change bits, take the number that the failure tells, from both adapters.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Recorder } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { boardSteps, stepRow } from '../../numerics/chessboard.ts';
import { addSilu } from '../../shaders/add_silu.ts';
import { advance } from '../../shaders/advance.ts';
import { gqa, selfAttention } from '../../shaders/attention.ts';
import { chessboardStep } from '../../shaders/chessboard_step.ts';
import { conv2d } from '../../shaders/conv2d.ts';
import { groupNorm } from '../../shaders/group_norm.ts';
import { layerNorm } from '../../shaders/layer_norm.ts';
import { linear as layer } from '../../shaders/linear.ts';
import { maskTokens } from '../../shaders/mask_tokens.ts';
import { normalNoise } from '../../shaders/normal_noise.ts';
import { rmsNorm } from '../../shaders/rms_norm.ts';
import { rope } from '../../shaders/rope.ts';
import { samplerStep } from '../../shaders/sampler_step.ts';
import { swiglu } from '../../shaders/swiglu.ts';
import { timeEmbedding } from '../../shaders/time_embedding.ts';
import { device, numbers, run, tensor } from '../gpu.ts';
import { each, linear, logarithmic, probe, randomFloats } from './probe.ts';

/** FNV-1a over the bytes of the values. */
function hash(values: Float32Array): string {
  let h = 2166136261;
  for (const byte of new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    h = Math.imul(h ^ byte, 16777619) >>> 0;
  return h.toString(16).padStart(8, '0');
}

function same(name: string, want: string, values: () => Promise<Float32Array>): void {
  test(name, async () => assert.is(hash(await values()), want));
}

const n = 1 << 14;
if (device.software) {
  same('exp_', 'de5b2ea4', () => probe(each('exp_'), linear(-90, 90, n)));
  same('log_', '285be315', () => probe(each('log_'), logarithmic(1.2e-38, 3.4e38, n)));
  same('sin_cos_', 'cc684977', () => probe('vec4<f32>(sin_cos_(v.x), sin_cos_(v.z))', linear(-1e5, 1e5, n)));
  same('erfc_', '8e57352a', () => probe(each('erfc_'), linear(-10, 10, n)));
  same('gelu', '904d62cc', () => probe('gelu(v)', linear(-20, 20, n)));
  same('silu', '6fe91c88', () => probe('silu(v)', linear(-100, 100, n)));
  same('to_bf16', '11e8aacc', () => probe('from_bf16(to_bf16(v))', randomFloats(n, -100, 100, 1)));
  same('division and root', '5d6e27db', () =>
    probe('v / w + sqrt(abs(v)) / 2.0', randomFloats(n, -9, 9, 1), randomFloats(n, -9, 9, 2)),
  );

  /** Some columns of a random matrix of 64 × 96. */
  const part = (type: 'bf16' | 'f32', from: number, to: number): Tensor => {
    const values = numbers(64 * 96, type, 2);
    return tensor(
      type,
      [64, to - from],
      values.filter((_, i) => i % 96 >= from && i % 96 < to),
    );
  };
  const random = (type: 'bf16' | 'f32', rows: number, cols: number, seed: number): Tensor =>
    tensor(type, [rows, cols], numbers(rows * cols, type, seed));
  for (const [type, want] of [
    [
      'bf16',
      [
        '3de9e015',
        '37f91e6e',
        'af5eba18',
        'f9f73478',
        '66b6d05f',
        '5c9836ea',
        'f3becb53',
        '08fb3b03',
        '03248988',
        'a06dc66e',
        'abad6e6b',
        'ca240474',
        '0d83d332',
        'fb3577d0',
      ],
    ],
    [
      'f32',
      [
        '5370d7f1',
        'bfd25993',
        '1cf7b3a7',
        'edd663c6',
        'd0ddf0f6',
        '968e0c8c',
        '4b93e693',
        'e6bbe1d7',
        '972f7ab0',
        'af88f88d',
        'c7ce8170',
        '709231f9',
        'c63f971e',
        '8bc730ea',
      ],
    ],
  ] as const) {
    const t = (rows: number, cols: number, seed: number): Tensor => random(type, rows, cols, seed);
    const affine = (cols: number) => ({ weight: t(1, cols, 8), bias: t(1, cols, 9) });
    const kernels: [string, (p: Recorder) => Tensor][] = [
      [
        'matmul',
        (p) =>
          layer(
            p,
            t(13, 88, 1),
            { weight: t(65, 88, 2), bias: t(1, 65, 3) },
            { act: 'gelu', residual: t(13, 65, 4), gate: { tensor: t(13, 72, 5), first: 4 } },
          ),
      ],
      [
        'matmul with PLoRA',
        (p) =>
          layer(
            p,
            t(5, 88, 1),
            {
              weight: part(type, 0, 88),
              lora: { a: t(16, 88, 6), b: part(type, 88, 96), scale: 0.3, firstColumns: [0, 32] },
            },
            { lora: true, act: 'silu' },
          ),
      ],
      ['matmul of rows a kilobyte apart', (p) => layer(p, t(19, 512, 1), { weight: t(37, 512, 2), bias: t(1, 37, 3) })],
      [
        'layer_norm',
        (p) =>
          layerNorm(p, t(5, 192, 1), affine(192), 1e-6, { tensor: t(5, 576, 2), firstRow: 0, shift: 192, scale: 384 }),
      ],
      ['rms_norm', (p) => rmsNorm(p, t(5, 192, 1), t(1, 192, 2), 1e-6)],
      ['group_norm', (p) => groupNorm(p, t(64, 32, 1), affine(32), 8, 1e-6, 'silu')],
      ['swiglu', (p) => swiglu(p, t(5, 64, 1), 32)],
      ['add_silu', (p) => addSilu(p, t(3, 64, 1), t(7, 64, 2), tensor('u32', [1], [2]), 3)],
      ['mask_tokens', (p) => maskTokens(p, t(3, 64, 1), tensor('u32', [3], [0, 1, 0]), t(1, 64, 2), t(3, 64, 3))],
      [
        'conv2d',
        (p) =>
          conv2d(
            p,
            { x: t(35, 12, 1), height: 5, width: 7 },
            { weight: t(9, 108, 2), bias: t(1, 9, 3) },
            { upsample: 2 },
          ).x,
      ],
      ['self_attention', (p) => selfAttention(p, t(33, 96, 1), 4, 8)],
      [
        'gqa of one token',
        (p) => {
          const seq = {
            branches: 1,
            capacity: 70,
            ids: tensor('u32', [1, 70], []),
            position: tensor('u32', [1], [69]),
          };
          return gqa(
            p,
            t(1, 64, 1),
            { k: t(70, 32, 2), v: t(70, 32, 3) },
            seq,
            { heads: 4, kvHeads: 2, headDim: 16 },
            true,
          );
        },
      ],
      [
        'rope',
        (p) => {
          const seq = {
            branches: 1,
            capacity: 300,
            ids: tensor('u32', [1, 300], []),
            position: tensor('u32', [1], [290]),
          };
          return rope(
            p,
            t(5, 128, 1),
            tensor(
              'f32',
              [8],
              Array.from({ length: 8 }, (_, i) => 1e6 ** (-i / 8)),
            ),
            { k: t(300, 32, 2), v: t(300, 32, 3) },
            seq,
            { heads: 4, kvHeads: 2, headDim: 16 },
          );
        },
      ],
      [
        'time_embedding',
        (p) =>
          timeEmbedding(
            p,
            tensor('u32', [3], [1, 500, 999]),
            tensor(
              'f32',
              [64],
              Array.from({ length: 64 }, (_, k) => Math.exp((-Math.log(10000) * k) / 64)),
            ),
            type,
          ),
      ],
    ];
    for (const [i, [name, record]] of kernels.entries()) same(`${name} ${type}`, want[i], () => run(record));
  }

  same('normal_noise', 'c604bb53', async () => {
    const y = tensor('f32', [100, 18], []);
    await run((p) => normalNoise(p, tensor('u32', [2], [1, 2]), 3, y, { deviation: tensor('f32', [1], [0.9]) }));
    return device.read(y);
  });
  for (const [type, want] of [
    ['bf16', 'b36ec3d3'],
    ['f16', '084de7d2'],
    ['f32', 'a12f8f67'],
  ] as const)
    same(`chessboard_step ${type}`, want, async () => {
      const x = random('f32', 100, 4, 1);
      const tables = {
        steps: tensor('f32', [20, 24], boardSteps('epsilon', 20, 0.5).flatMap(stepRow)),
        step: tensor('u32', [1], [0]),
        seed: tensor('u32', [2], [1, 2]),
      };
      await run((p) => {
        for (let step = 0; step < 20; step++) {
          chessboardStep(p, x, tables, { type, noisy: true });
          advance(p, tables.step, 1);
        }
      });
      return device.read(x);
    });
  same('sampler_step', '9293cb19', async () => {
    const x = random('f32', 10, 16, 1),
      table = tensor('f32', [2, 4], [0, 0, 0, 0, 0.3, 0.9, 0.1, 1]);
    await run((p) =>
      samplerStep(
        p,
        x,
        random('f32', 10, 16, 2),
        {
          coefficients: table,
          step: tensor('u32', [1], [1]),
          guidance: tensor('f32', [1], [2.7]),
          stepNoise: random('f32', 10, 16, 3),
          chosen: tensor('u32', [5], [4, 3, 2, 1, 0]),
        },
        2,
        0,
      ),
    );
    return device.read(x);
  });
}

test.run();
