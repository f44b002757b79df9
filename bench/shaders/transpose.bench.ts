import { transpose } from '../../shaders/transpose.ts';
import type { Case } from '../harness.ts';

const turn = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 2 * 2 * rows * cols,
  record: (p, t) => transpose(p, t('bf16', rows, cols)),
});

export const cases = [turn('emoji LLM', 1024, 192), turn('0.5B MLP', 1024, 4864)];
