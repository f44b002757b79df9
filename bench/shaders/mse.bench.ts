import { mse } from '../../shaders/mse.ts';
import type { Case } from '../harness.ts';

const loss = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 2 * 4 * rows * cols,
  record: (p, t) => mse(p, t('f32', rows, cols), t('f32', rows, cols), t('f32', rows)),
});

export const cases = [loss('emoji', 1024, 16), loss('0.5B', 4096, 16)];
