import { attentionBackward } from '../../shaders/attention_backward.ts';
import type { Case } from '../harness.ts';

/** All rows of each picture see each other; q, k and v lie side by side. */
const full = (part: string, pictures: number, count: number, heads: number, d: number): Case => ({
  name: `${part}: ${pictures} × ${count} rows, ${heads} heads of ${d}`,
  flops: 14 * pictures * count * count * heads * d,
  bytes: 2 * 8 * pictures * count * heads * d,
  record: (p, t) => {
    const rows = pictures * count,
      qkv = t('bf16', rows, 3 * heads * d),
      y = t('bf16', rows, heads * d);
    const operands = {
      q: qkv,
      k: qkv,
      v: qkv,
      position: qkv,
      branch: 0,
      causal: false,
      cached: false,
      capacity: count,
      first: { q: 0, k: (heads * d) / 4, v: (heads * d) / 2 },
      pitch: qkv.pitch,
    };
    const shape = { heads, kvHeads: heads, headDim: d, branches: pictures, count };
    attentionBackward(p, operands, shape, y, t('f32', rows, 2 * heads), t('bf16', rows, heads * d));
  },
});

export const cases = [full('emoji vit', 8, 64, 6, 32), full('0.5B vit', 1, 256, 16, 64)];
