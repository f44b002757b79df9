import { layerNormBackward } from '../../shaders/layer_norm_backward.ts';
import type { Case } from '../harness.ts';

const norm = (part: string, rows: number, cols: number, modulated: boolean): Case => ({
  name: `${part}: [${rows}, ${cols}]${modulated ? ', modulated' : ''}`,
  bytes: (3 * 2 + 2 * 4 + (modulated ? 3 * 2 : 0)) * rows * cols,
  record: (p, t) => {
    const affine = { weight: t('bf16', cols), bias: t('bf16', cols) },
      wide = () => t('bf16', rows, 3 * cols);
    layerNormBackward(p, t('bf16', rows, cols), 1e-6, t('bf16', rows, cols), {
      affine,
      learns: true,
      ...(modulated && {
        modulation: { tensor: wide(), firstRow: 0, shift: 0, scale: cols },
        dmodulation: wide(),
      }),
    });
  },
});

export const cases = [
  norm('emoji vit', 512, 192, false),
  norm('emoji diffusion', 1024, 256, true),
  norm('0.5B vit', 1024, 1024, false),
  norm('0.5B diffusion', 1024, 1024, true),
];
