import { rope } from '../../shaders/rope.ts';
import type { Case } from '../harness.ts';

const rotated = (
  part: string,
  branches: number,
  count: number,
  heads: number,
  kvHeads: number,
  headDim: number,
): Case => ({
  name: `${part}: ${branches} × ${count} tokens, heads ${heads}/${kvHeads} of ${headDim}`,
  bytes: 2 * 2 * branches * count * (heads + 2 * kvHeads) * headDim,
  record: (p, t) => {
    const rows = branches * count,
      capacity = count + 20,
      cache = {
        k: t('bf16', branches * capacity, kvHeads * headDim),
        v: t('bf16', branches * capacity, kvHeads * headDim),
      };
    const seq = { branches, capacity, position: t('u32', branches), ids: t('u32', branches, capacity) };
    rope(p, t('bf16', rows, (heads + 2 * kvHeads) * headDim), t('f32', headDim / 2), cache, seq, {
      heads,
      kvHeads,
      headDim,
    });
  },
});

export const cases = [
  rotated('emoji token', 1, 1, 6, 2, 32),
  rotated('emoji image', 2, 64, 6, 2, 32),
  rotated('0.5B token', 1, 1, 14, 2, 64),
  rotated('0.5B image', 2, 256, 14, 2, 64),
];
