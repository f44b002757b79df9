import { nearestCode } from '../../shaders/nearest_code.ts';
import type { Case } from '../harness.ts';

const nearest = (part: string, rows: number, codes: number): Case => ({
  name: `${part}: ${rows} tokens of 16, ${codes} codes`,
  flops: 3 * rows * codes * 16,
  bytes: 2 * codes * 16 + 4 * rows * 17,
  record: (p, t) => nearestCode(p, t('f32', rows, 16), t('bf16', codes, 16)),
});

export const cases = [nearest('0.5B-VQ', 256, 16384)];
