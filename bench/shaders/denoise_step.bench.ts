import { denoiseStep } from '../../shaders/denoise_step.ts';
import type { Case } from '../harness.ts';

/** Guided tokens of d channels by a diffusion head of that width. */
const step = (tokens: number, width: number, d: number): Case => ({
  name: `2 × ${tokens} tokens of ${d} channels, ${width} wide`,
  flops: 2 * 3 * tokens * width * d,
  bytes: 2 * (2 * width * d + 4 * 2 * tokens * width),
  record: (p, t) =>
    denoiseStep(
      p,
      t('bf16', 2 * tokens, width),
      t('f32', 2 * tokens, d),
      {
        final: { weight: t('bf16', d, width), bias: t('bf16', d) },
        input: { weight: t('bf16', width, d), bias: t('bf16', width) },
        eps: 1e-6,
      },
      { tensor: t('bf16', 2 * tokens, 2 * width), firstRow: 0, shift: 0, scale: width },
      {
        coefficients: t('f32', 100, 4),
        step: t('u32', 1),
        guidance: t('f32', 1),
        chosen: t('u32', tokens),
      },
      2,
      0,
    ),
});

export const cases = [step(1, 256, 16), step(7, 256, 16), step(40, 256, 16), step(1, 1024, 16)];
