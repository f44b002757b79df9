import { conv2d } from '../../shaders/conv2d.ts';
import type { Case } from '../harness.ts';

const conv = (
  part: string,
  side: number,
  from: number,
  to: number,
  options: { stride?: 2; upsample?: 2 } = {},
): Case => {
  const out = (side * (options.upsample ?? 1)) / (options.stride ?? 1),
    quads = 4 * Math.ceil(from / 4);
  return {
    name: `${part}: ${side}² × ${from} → ${out}² × ${to}`,
    flops: 2 * out * out * 9 * from * to,
    bytes: 2 * (side * side * from + out * out * to + 9 * from * to),
    record: (p, t) =>
      conv2d(
        p,
        { x: t('bf16', side * side, from), height: side, width: side },
        { weight: t('bf16', to, 9 * quads), bias: t('bf16', to) },
        options,
      ),
  };
};

export const cases = [
  conv('emoji in', 64, 3, 32),
  conv('emoji level 0', 64, 32, 32),
  conv('emoji down', 64, 32, 32, { stride: 2 }),
  conv('emoji level 2', 16, 64, 64),
  conv('emoji middle', 8, 128, 128),
  conv('emoji up', 32, 64, 64, { upsample: 2 }),
  conv('emoji out', 64, 32, 3),
  conv('0.5B middle', 16, 512, 512),
];
