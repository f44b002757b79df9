import { gqa, selfAttention } from '../../shaders/attention.ts';
import type { Case } from '../harness.ts';

/** `count` new tokens of each branch over a cache that holds `keys` with them. */
const cached = (
  part: string,
  branches: number,
  count: number,
  keys: number,
  heads: number,
  kvHeads: number,
  d: number,
): Case => ({
  name: `${part}: ${branches} × ${count} queries over ${keys} keys, heads ${heads}/${kvHeads} of ${d}`,
  flops: 4 * branches * count * keys * heads * d,
  bytes: 2 * branches * (2 * count * heads * d + 2 * keys * kvHeads * d),
  record: (p, t) => {
    const position = t('u32', branches),
      ids = t('u32', branches, keys),
      rows = branches * keys;
    p.device.write(position, new Uint8Array(Uint32Array.from({ length: position.pitch }, () => keys - count).buffer));
    gqa(
      p,
      t('bf16', branches * count, heads * d),
      { k: t('bf16', rows, kvHeads * d), v: t('bf16', rows, kvHeads * d) },
      { branches, capacity: keys, position, ids },
      { heads, kvHeads, headDim: d },
      false,
    );
  },
});

const full = (part: string, rows: number, heads: number, d: number): Case => ({
  name: `${part}: ${rows} rows, ${heads} heads of ${d}`,
  flops: 4 * rows * rows * heads * d,
  bytes: 2 * 4 * rows * heads * d,
  record: (p, t) => selfAttention(p, t('bf16', rows, 3 * heads * d), heads, d),
});

export const cases = [
  cached('emoji image', 2, 64, 80, 6, 2, 32),
  cached('emoji token', 1, 1, 100, 6, 2, 32),
  full('emoji vit', 64, 6, 32),
  full('emoji tokenizer', 64, 1, 128),
  cached('0.5B image', 2, 256, 280, 14, 2, 64),
  cached('0.5B token', 1, 1, 500, 14, 2, 64),
  full('0.5B vit', 256, 16, 64),
];
