import { zeros } from '../../shaders/zeros.ts';
import type { Case } from '../harness.ts';

const clear = (rows: number, cols: number): Case => ({
  name: `[${rows}, ${cols}]`,
  bytes: 4 * rows * cols,
  record: (p, t) => zeros(p, t('f32', rows, cols)),
});

export const cases = [clear(192, 768), clear(1024, 4096)];
