import { linear } from '../../shaders/linear.ts';
import type { Case } from '../harness.ts';

const layer = (
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
    linear(
      p,
      t('bf16', m, k),
      {
        weight: t('bf16', n, k),
        bias: t('bf16', n),
        lora: rank
          ? {
              a: t('bf16', runs * rank, k),
              b: t('bf16', n, rank),
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
  ...[2, 14, 80].map((m) => layer('emoji diffusion mlp in', m, 256, 1024, { act: 'silu' })),
  ...[2, 14, 80].map((m) => layer('emoji diffusion mlp out', m, 1024, 256)),
  layer('emoji diffusion modulation', 80, 256, 2816),
  layer('emoji qkv', 1, 192, 320),
  layer('emoji qkv, image', 128, 192, 320, { rank: 32, runs: 3 }),
  layer('emoji gate and up, image', 128, 192, 1024, { rank: 32, runs: 2 }),
  layer('emoji down, image', 128, 512, 192, { rank: 32 }),
  layer('emoji vit mlp', 64, 192, 768, { act: 'gelu' }),
  layer('emoji head', 1, 192, 1024),
  // MMAR-0.5B.
  layer('0.5B diffusion mlp in', 16, 1024, 4096, { act: 'silu' }),
  layer('0.5B diffusion mlp out', 16, 4096, 1024),
  layer('0.5B gate and up', 1, 896, 9728),
  layer('0.5B down', 1, 4864, 896),
  layer('0.5B head', 1, 896, 151936),
  layer('0.5B qkv, image', 256, 896, 1152, { rank: 512, runs: 3 }),
  layer('0.5B vit mlp', 256, 1024, 4096, { act: 'gelu' }),
];
