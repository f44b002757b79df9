import { sampleCode } from '../../shaders/sample_code.ts';
import type { Case } from '../harness.ts';

const sampled = (part: string, rows: number, codes: number): Case => ({
  name: `${part}: ${rows} tokens of ${codes} codes, guided`,
  bytes: 8 * rows * codes,
  record: (p, t) =>
    sampleCode(
      p,
      t('f32', 2 * rows, codes),
      { chosen: t('u32', rows), uniform: t('f32', 256), sampling: t('f32', 2) },
      t('u32', 256),
      t('u32', rows),
      2,
    ),
});

export const cases = [sampled('0.5B-VQ', 4, 16384)];
