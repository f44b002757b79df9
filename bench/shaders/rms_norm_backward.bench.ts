import { rmsNormBackward } from '../../shaders/rms_norm_backward.ts';
import type { Case } from '../harness.ts';

const norm = (part: string, rows: number, cols: number, learns: boolean): Case => ({
  name: `${part}: [${rows}, ${cols}]${learns ? ', weight too' : ''}`,
  bytes: (3 * 2 + (learns ? 4 : 0)) * rows * cols,
  record: (p, t) => rmsNormBackward(p, t('bf16', rows, cols), t('bf16', cols), 1e-6, t('bf16', rows, cols), learns),
});

export const cases = [
  norm('emoji image', 512, 192, false),
  norm('0.5B image', 1024, 896, false),
  norm('0.5B image', 1024, 896, true),
];
