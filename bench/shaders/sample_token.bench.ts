import { sampleToken } from '../../shaders/sample_token.ts';
import type { Case } from '../harness.ts';

const sampled = (part: string, vocab: number, temperature: number, topP: number): Case => ({
  name: `${part}: ${vocab} tokens, temperature ${temperature}, top_p ${topP}`,
  bytes: 4 * vocab,
  record: (p, t) =>
    sampleToken(
      p,
      t('f32', 1, vocab),
      t('u32', 2),
      { branches: 1, capacity: 1, position: t('u32', 1), ids: t('u32', 1, 1) },
      vocab,
      p.constant('sampling', 'f32', [2], [temperature, topP]),
    ),
});

export const cases = [
  ['emoji', 1024],
  ['0.5B', 151936],
].flatMap(([part, vocab]) =>
  [
    [0, 1],
    [0.7, 1],
    [0.7, 0.8],
  ].map(([t, topP]) => sampled(part as string, vocab as number, t, topP)),
);
