import { normalNoise } from '../../shaders/normal_noise.ts';
import type { Case } from '../harness.ts';

const noise = (part: string, rows: number): Case => ({
  name: `${part}: [${rows}, 16]`,
  bytes: 4 * 16 * rows,
  record: (p, t) => normalNoise(p, t('u32', 2), 0, t('f32', rows, 16)),
});

export const cases = [noise('emoji', 64), noise('0.5B', 256), noise('0.5B, 100 DDPM steps', 25600)];
