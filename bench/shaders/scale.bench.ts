import { scale } from '../../shaders/scale.ts';
import type { Case } from '../harness.ts';

const scaled = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 4 * 2 * rows * cols,
  record: (p, t) => scale(p, t('f32', rows, cols), 2),
});

export const cases = [scaled('emoji tokens', 64, 16), scaled('0.5B tokens', 256, 16)];
