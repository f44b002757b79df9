import { swiglu } from '../../shaders/swiglu.ts';
import type { Case } from '../harness.ts';

const gated = (part: string, rows: number, width: number): Case => ({
  name: `${part}: [${rows}, 2 × ${width}]`,
  bytes: 2 * 3 * rows * width,
  record: (p, t) => swiglu(p, t('bf16', rows, 2 * width), width),
});

export const cases = [
  gated('emoji token', 1, 512),
  gated('emoji image', 128, 512),
  gated('0.5B token', 1, 4864),
  gated('0.5B image', 512, 4864),
];
