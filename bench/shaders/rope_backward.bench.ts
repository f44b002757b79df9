import { ropeBackward } from '../../shaders/rope_backward.ts';
import type { Case } from '../harness.ts';

const back = (part: string, branches: number, count: number, heads: number, kvHeads: number, headDim: number): Case => {
  const capacity = count + 32,
    width = (heads + 2 * kvHeads) * headDim;
  return {
    name: `${part}: ${branches} × ${count} tokens, heads ${heads}/${kvHeads} of ${headDim}`,
    bytes: branches * count * headDim * (2 * (2 * heads + 2 * kvHeads) + 8 * 2 * kvHeads),
    record: (p, t) => {
      const cache = () => t('f32', branches * capacity, kvHeads * headDim),
        seq = { branches, capacity, position: t('u32', branches), ids: t('u32', branches, capacity) },
        rows = branches * count;
      ropeBackward(
        p,
        t('bf16', rows, width),
        t('f32', headDim / 2),
        t('bf16', rows, heads * headDim),
        { k: cache(), v: cache() },
        seq,
        { heads, kvHeads, headDim },
      );
    },
  };
};

export const cases = [back('emoji image', 8, 64, 6, 2, 32), back('0.5B image', 1, 256, 14, 2, 64)];
