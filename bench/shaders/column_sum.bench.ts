import { columnSum } from '../../shaders/column_sum.ts';
import type { Case } from '../harness.ts';

const sum = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 2 * rows * cols + 4 * cols,
  record: (p, t) => columnSum(p, t('bf16', rows, cols), { into: t('f32', cols) }),
});

export const cases = [sum('emoji vit', 512, 768), sum('emoji modulation', 1024, 2816), sum('0.5B vit', 1024, 4096)];
