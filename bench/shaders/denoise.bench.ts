import { canDenoise, denoise, headShapes } from '../../shaders/denoise.ts';
import { denoiseStep } from '../../shaders/denoise_step.ts';
import { linear } from '../../shaders/linear.ts';
import type { Case } from '../harness.ts';

const sizes = { blocks: 3, width: 256, inner: 1024, channels: 16, eps: 1e-6 },
  { blocks, width, inner, channels, eps } = sizes,
  steps = 12;

/** Twelve steps of guided tokens by the carried model's head: as one kernel where that can be, or by the layers' own. */
const drawing = (tokens: number, together: boolean): Case => ({
  name: `2 × ${tokens} tokens, ${steps} steps, ${together ? 'one kernel' : "the layers' own"}`,
  flops: 4 * steps * tokens * 2 * width * (blocks * inner + channels),
  bytes: 2 * steps * 2 * width * (blocks * inner + channels),
  record: (p, t) => {
    const x = t('f32', 2 * tokens, channels),
      modulation = t('bf16', steps * 2 * tokens, (3 * blocks + 2) * width);
    const tables = {
      coefficients: t('f32', steps, 4),
      step: t('u32', 1),
      guidance: t('f32', 1),
      chosen: t('u32', tokens),
    };
    if (together && canDenoise(p.device, sizes, false)) {
      const { weights, vectors } = headShapes(sizes);
      denoise(
        p,
        x,
        modulation,
        { ...sizes, weights: t('bf16', ...weights), vectors: t('bf16', ...vectors) },
        tables,
        2,
        steps,
      );
      return;
    }
    const layer = (n: number, k: number) => ({ weight: t('bf16', n, k), bias: t('bf16', n) }),
      layers = { final: layer(channels, width), input: layer(width, channels), eps },
      own = Array.from({ length: blocks }, () => ({
        affine: { weight: t('bf16', width), bias: t('bf16', width) },
        up: layer(inner, width),
        down: layer(width, inner),
      }));
    let h = linear(p, x, layers.input, { type: 'bf16' });
    for (let step = 0; step < steps; step++) {
      const at = { tensor: modulation, firstRow: 2 * tokens * step, shift: 0, scale: width };
      for (const { affine, up, down } of own) {
        const residual = h,
          hidden = linear(p, h, up, { norm: { kind: 'layer', affine, eps, modulation: at }, act: 'silu' });
        h = linear(p, hidden, down, { gate: { ...at, first: 2 * width }, residual });
      }
      h = denoiseStep(p, h, x, layers, at, tables, 2, step);
    }
  },
});

export const cases = [1, 2, 4, 6, 24, 64].flatMap((tokens) => [drawing(tokens, true), drawing(tokens, false)]);
