import { maskTokensBackward } from '../../shaders/mask_tokens_backward.ts';
import type { Case } from '../harness.ts';

const back = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 2 * 2 * rows * cols,
  record: (p, t) => maskTokensBackward(p, t('bf16', rows, cols), t('u32', rows)),
});

export const cases = [back('emoji', 512, 192), back('0.5B', 1024, 1024)];
