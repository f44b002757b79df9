import { adamw } from '../../shaders/adamw.ts';
import type { Case } from '../harness.ts';

const settings = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.02, clip: 3 };

const step = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: (4 * 9 + 2) * rows * cols,
  record: (p, t) => {
    const of = () => t('f32', rows, cols);
    const state = { master: of(), moment1: of(), moment2: of(), average: of(), weight: t('bf16', rows, cols) };
    adamw(p, state, of(), t('f32', 1), t('f32', 4), settings);
  },
});

export const cases = [step('emoji', 192, 768), step('0.5B', 1024, 4096)];
