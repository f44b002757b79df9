import { sum } from '../../shaders/sum.ts';
import type { Case } from '../harness.ts';

const all = (n: number): Case => ({
  name: `${n} numbers`,
  bytes: 4 * n,
  record: (p, t) => sum(p, t('f32', n)),
});

export const cases = [all(1024), all(65536)];
