import { swigluBackward } from '../../shaders/swiglu_backward.ts';
import type { Case } from '../harness.ts';

const back = (part: string, rows: number, width: number): Case => ({
  name: `${part}: [${rows}, 2 × ${width}]`,
  bytes: 2 * 5 * rows * width,
  record: (p, t) => swigluBackward(p, t('bf16', rows, 2 * width), t('bf16', rows, width)),
});

export const cases = [back('emoji image', 512, 512), back('0.5B image', 256, 4864)];
