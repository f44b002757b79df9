import { maskTokens } from '../../shaders/mask_tokens.ts';
import type { Case } from '../harness.ts';

const masked = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 2 * 3 * rows * cols,
  record: (p, t) => maskTokens(p, t('bf16', rows, cols), t('u32', rows), t('bf16', cols), t('bf16', rows, cols)),
});

export const cases = [masked('emoji', 64, 192), masked('0.5B', 256, 1024)];
