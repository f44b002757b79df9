import { samplerStep } from '../../shaders/sampler_step.ts';
import type { Case } from '../harness.ts';

const step = (rows: number): Case => ({
  name: `2 × ${rows} tokens of 16 channels, guided`,
  bytes: 4 * 16 * rows * 6,
  record: (p, t) =>
    samplerStep(
      p,
      t('f32', 2 * rows, 16),
      t('f32', 2 * rows, 16),
      {
        coefficients: t('f32', 100, 4),
        step: t('u32', 1),
        guidance: t('f32', 1),
        stepNoise: t('f32', 100, 16),
        chosen: t('u32', rows),
      },
      2,
      0,
    ),
});

export const cases = [step(1), step(7), step(40), step(256)];
