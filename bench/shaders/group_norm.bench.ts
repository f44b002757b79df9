import { groupNorm } from '../../shaders/group_norm.ts';
import type { Case } from '../harness.ts';

const norm = (part: string, side: number, channels: number, groups: number): Case => ({
  name: `${part}: ${side}² × ${channels} in ${groups} groups, SiLU`,
  bytes: 2 * 2 * side * side * channels,
  record: (p, t) =>
    groupNorm(
      p,
      t('bf16', side * side, channels),
      { weight: t('bf16', channels), bias: t('bf16', channels) },
      groups,
      1e-6,
      'silu',
    ),
});

export const cases = [
  norm('emoji level 0', 64, 32, 8),
  norm('emoji middle', 8, 128, 8),
  norm('0.5B middle', 16, 512, 32),
  norm('0.5B level 0', 256, 128, 32),
];
