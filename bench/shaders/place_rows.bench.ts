import { placeRows } from '../../shaders/place_rows.ts';
import type { Case } from '../harness.ts';

const placed = (rows: number, all: number): Case => ({
  name: `${rows} of ${all} tokens of 16 channels`,
  bytes: 4 * 2 * 16 * rows,
  record: (p, t) => placeRows(p, t('f32', rows, 16), t('u32', rows), t('f32', all, 16), t('u32', all)),
});

export const cases = [placed(7, 64), placed(16, 256)];
