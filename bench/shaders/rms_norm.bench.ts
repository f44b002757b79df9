import { rmsNorm } from '../../shaders/rms_norm.ts';
import type { Case } from '../harness.ts';

const norm = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 2 * 2 * rows * cols,
  record: (p, t) => rmsNorm(p, t('bf16', rows, cols), t('bf16', cols), 1e-6),
});

export const cases = [
  norm('emoji token', 1, 192),
  norm('emoji image', 128, 192),
  norm('0.5B token', 1, 896),
  norm('0.5B image', 512, 896),
];
