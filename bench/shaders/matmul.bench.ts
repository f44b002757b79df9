import { matmul } from '../../shaders/matmul.ts';
import type { Case } from '../harness.ts';

const linear = (
  part: string,
  m: number,
  k: number,
  n: number,
  { act = 'none' as 'none' | 'silu' | 'gelu', rank = 0, runs = 1 } = {},
): Case => ({
  name: `${part}: [${m}, ${k}] × [${n}, ${k}]${rank ? `, PLoRA of rank ${rank} × ${runs}` : ''}`,
  flops: 2 * m * (n * (k + rank) + runs * rank * k),
  bytes: 2 * (m * k + n * (k + rank) + m * n + runs * rank * (k + m)),
  record: (p, t) =>
    matmul(
      p,
      t('bf16', m, k),
      {
        weight: t('bf16', n, k + rank),
        bias: t('bf16', n),
        inFeatures: k,
        lora: rank
          ? {
              a: t('bf16', runs * rank, k),
              rank,
              scale: 1,
              firstColumns: Array.from({ length: runs }, (_, i) => 4 * Math.floor((i * n) / runs / 4)),
            }
          : undefined,
      },
      { act, lora: rank > 0 },
    ),
});

export const cases = [
  // The carried checkpoint.
  ...[2, 14, 80].map((m) => linear('emoji diffusion mlp in', m, 256, 1024, { act: 'silu' })),
  ...[2, 14, 80].map((m) => linear('emoji diffusion mlp out', m, 1024, 256)),
  linear('emoji diffusion modulation', 80, 256, 2816),
  linear('emoji qkv', 1, 192, 320),
  linear('emoji qkv, image', 128, 192, 320, { rank: 32, runs: 3 }),
  linear('emoji gate and up, image', 128, 192, 1024, { rank: 32, runs: 2 }),
  linear('emoji down, image', 128, 512, 192, { rank: 32 }),
  linear('emoji vit mlp', 64, 192, 768, { act: 'gelu' }),
  linear('emoji head', 1, 192, 1024),
  // MMAR-0.5B.
  linear('0.5B diffusion mlp in', 16, 1024, 4096, { act: 'silu' }),
  linear('0.5B gate and up', 1, 896, 9728),
  linear('0.5B down', 1, 4864, 896),
  linear('0.5B head', 1, 896, 151936),
  linear('0.5B qkv, image', 256, 896, 1152, { rank: 512, runs: 3 }),
  linear('0.5B vit mlp', 256, 1024, 4096, { act: 'gelu' }),
];
