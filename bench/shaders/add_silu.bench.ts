import { addSilu } from '../../shaders/add_silu.ts';
import type { Case } from '../harness.ts';

const condition = (part: string, rows: number, width: number, steps: number): Case => ({
  name: `${part}: ${rows} rows of ${width}, ${steps} steps`,
  bytes: 2 * width * (steps * rows + rows + steps),
  record: (p, t) => addSilu(p, t('bf16', rows, width), t('bf16', 100, width), t('u32', 1), steps),
});

export const cases = [condition('emoji', 2, 256, 1), condition('emoji', 8, 256, 10), condition('0.5B', 16, 1024, 10)];
