import { embedTokens, gatherRows } from '../../shaders/gather_rows.ts';
import type { Case } from '../harness.ts';

const embedded = (part: string, vocab: number, hidden: number, count: number): Case => ({
  name: `${part}: ${count} of [${vocab}, ${hidden}]`,
  bytes: 2 * 2 * count * hidden,
  record: (p, t) =>
    embedTokens(
      p,
      [t('bf16', vocab, hidden)],
      { branches: 1, capacity: count, position: t('u32', 1), ids: t('u32', 1, count) },
      count,
      'bf16',
    ),
});

const gathered = (part: string, rows: number, cols: number, chosen: number): Case => ({
  name: `${part}: 2 × ${chosen} of 2 × [${rows}, ${cols}]`,
  bytes: 2 * 2 * 2 * chosen * cols,
  record: (p, t) => gatherRows(p, t('bf16', 2 * rows, cols), t('u32', chosen), 2),
});

export const cases = [
  embedded('emoji text', 1024, 192, 30),
  embedded('0.5B text', 151936, 896, 30),
  gathered('emoji z', 64, 192, 7),
  gathered('0.5B z', 256, 896, 16),
];
