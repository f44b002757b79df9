import { layerNorm } from '../../shaders/layer_norm.ts';
import type { Case } from '../harness.ts';

const norm = (part: string, rows: number, cols: number, modulated = false): Case => ({
  name: `${part}: [${rows}, ${cols}]${modulated ? ', modulated' : ''}`,
  bytes: 2 * rows * cols * (modulated ? 4 : 2),
  record: (p, t) =>
    layerNorm(
      p,
      t('bf16', rows, cols),
      { weight: t('bf16', cols), bias: t('bf16', cols) },
      1e-6,
      modulated ? { tensor: t('bf16', rows, 3 * cols), firstRow: 0, shift: 0, scale: cols } : undefined,
    ),
});

export const cases = [
  ...[2, 14, 80].map((rows) => norm('emoji diffusion', rows, 256, true)),
  norm('emoji vit', 64, 192),
  norm('0.5B diffusion', 16, 1024, true),
  norm('0.5B vit', 256, 1024),
];
