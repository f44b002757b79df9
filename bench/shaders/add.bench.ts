import { add } from '../../shaders/add.ts';
import type { Case } from '../harness.ts';

const sum = (part: string, rows: number, cols: number): Case => ({
  name: `${part}: [${rows}, ${cols}]`,
  bytes: 3 * 2 * rows * cols,
  record: (p, t) => add(p, t('bf16', rows, cols), t('bf16', rows, cols)),
});

export const cases = [sum('emoji LLM', 1024, 192), sum('0.5B LLM', 256, 896)];
