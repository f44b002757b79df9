import { sampleToken } from '../../shaders/sample_token.ts';
import type { Case } from '../harness.ts';

/** As wide as a language model's: a logistic distribution of deviation 3, its quantiles in no order. */
const logits = (vocab: number): Float32Array =>
  Float32Array.from({ length: vocab }, (_, i) => {
    const share = (((i * 7919) % vocab) + 0.5) / vocab;
    return 1.65 * Math.log(share / (1 - share));
  });

const sampled = (part: string, vocab: number, temperature: number, topP: number): Case => ({
  name: `${part}: ${vocab} tokens, temperature ${temperature}, top_p ${topP}`,
  bytes: 4 * vocab,
  record: (p, t) =>
    sampleToken(
      p,
      p.constant('logits', 'f32', [1, vocab], logits(vocab)),
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
