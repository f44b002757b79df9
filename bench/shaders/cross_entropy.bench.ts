import { crossEntropy } from '../../shaders/cross_entropy.ts';
import type { Case } from '../harness.ts';

const loss = (part: string, rows: number, classes: number): Case => ({
  name: `${part}: [${rows}, ${classes}]`,
  bytes: 4 * rows * classes,
  record: (p, t) => crossEntropy(p, t('f32', rows, classes), t('i32', rows), t('f32', rows), classes),
});

export const cases = [loss('emoji', 32, 1024), loss('0.5B', 16, 151936)];
