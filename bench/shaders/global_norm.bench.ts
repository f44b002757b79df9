import { globalNorm } from '../../shaders/global_norm.ts';
import type { Case } from '../harness.ts';

const norm = (part: string, tensors: number, rows: number, cols: number): Case => ({
  name: `${part}: ${tensors} × [${rows}, ${cols}]`,
  bytes: 4 * tensors * rows * cols,
  record: (p, t) =>
    globalNorm(
      p,
      Array.from({ length: tensors }, () => t('f32', rows, cols)),
    ),
});

export const cases = [norm('emoji', 40, 192, 768), norm('0.5B', 4, 4096, 1024)];
