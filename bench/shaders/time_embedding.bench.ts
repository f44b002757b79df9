import { timeEmbedding } from '../../shaders/time_embedding.ts';
import type { Case } from '../harness.ts';

const embedded = (times: number): Case => ({
  name: `${times} times, 128 frequencies`,
  bytes: 2 * 256 * times,
  record: (p, t) => timeEmbedding(p, t('u32', times), t('f32', 128), 'bf16'),
});

export const cases = [embedded(1), embedded(100), embedded(1000)];
