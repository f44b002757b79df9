import { rope } from '../../shaders/rope.ts';
import type { Case } from '../harness.ts';

const rotated = (part: string, branches: number, count: number, heads: number, kv_heads: number, head_dim: number): Case => ({
  name: `${part}: ${branches} × ${count} tokens, heads ${heads}/${kv_heads} of ${head_dim}`,
  bytes: 2 * 2 * branches * count * (heads + 2 * kv_heads) * head_dim,
  record: (p, t) => {
    const rows = branches * count, capacity = count + 20, cache = { k: t('bf16', branches * capacity, kv_heads * head_dim), v: t('bf16', branches * capacity, kv_heads * head_dim) };
    const seq = { branches, capacity, position: t('u32', branches), ids: t('u32', branches, capacity) };
    rope(p, t('bf16', rows, (heads + 2 * kv_heads) * head_dim), t('f32', head_dim / 2), cache, seq, { heads, kv_heads, head_dim });
  },
});

export const cases = [rotated('emoji token', 1, 1, 6, 2, 32), rotated('emoji image', 2, 64, 6, 2, 32), rotated('0.5B token', 1, 1, 14, 2, 64), rotated('0.5B image', 2, 256, 14, 2, 64)];
