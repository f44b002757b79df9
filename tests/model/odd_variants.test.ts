// VQ and Transfusion of sizes that fit nothing, as odd_sizes.test.ts has MMAR: every part that they have, in f32 against the
// f64 reference with the same codes and ids, in bf16 as close as rounding allows.
import { test } from 'uvu';
import type { TransfusionConfig, VQConfig } from '../../model/config.ts';
import { planesToRows } from '../../model/image_codec.ts';
import { numbers } from '../gpu.ts';
import { base, type Cases, randomCheckpoint, testParts } from './odd.ts';
import { before, commonCases, maskedCases, oddInputs, uncond } from './odd_cases.ts';
import { flat, rowsOf } from './reference.ts';
import { ReferenceTransfusion, ReferenceVQ } from './reference_variants.ts';

const L = base.image_tokens,
  d = base.image_tokenizer.embed_dim,
  S = base.image_tokenizer.resolution;
const { tokens, noise, pixels, mask, order } = oddInputs(L, d, S),
  uniform = numbers(L, 'f32', 13).map((x) => Math.abs(x) % 1);

for (const codes of [37, 259]) {
  const json = {
    ...base,
    variant: 'vq',
    image_tokenizer: { ...base.image_tokenizer, type: 'vq', codebook_size: codes },
  };
  /** Each code stands twice, but the middle one: every choice is a tie, which the lower one wins. */
  const twice = (weights: Map<string, Float32Array>) => {
    for (const name of ['image_tokenizer.quantize.embedding.weight', 'image_head.weight', 'image_head.bias']) {
      const values = weights.get(name)!,
        width = values.length / codes;
      for (let c = 0; c < (codes - 1) / 2; c++) values.copyWithin((codes - 1 - c) * width, c * width, (c + 1) * width);
    }
  };
  const { source, config, weights } = randomCheckpoint<VQConfig>(json, twice),
    reference = new ReferenceVQ(config, weights),
    drawing: Cases[string]['inputs'] = { before: [[5], before], uncond: [[2], uncond], order: [[L], order] },
    iterations = { iterations: 3, cfg: 1.5, cfg_schedule: 'linear' } as const,
    settings = { iterations: '3', cfg: '1.5', cfg_schedule: 'linear' };
  testParts(`vq, ${codes} codes`, source, {
    ...commonCases(reference, L, d, tokens),
    ...maskedCases(reference, L, d, tokens, mask),
    encode: {
      inputs: { pixels: [[3, S, S], pixels] },
      want() {
        const codes = reference.codes(rowsOf(planesToRows(pixels, 3), 3));
        return { tokens: flat(reference.rows(codes)), codes };
      },
    },
    image_logits: {
      inputs: { before: [[5], before], tokens: [[L, d], tokens], mask: [[L], mask] },
      want: () => ({ image_logits: flat(reference.imageLogits(before, rowsOf(tokens, d), mask)) }),
    },
    'generate, the likeliest': {
      inputs: drawing,
      settings: { ...settings, temperature: '0' },
      want: () => ({
        codes: reference.generateCodes([before, uncond], order, undefined, { ...iterations, temperature: 0 }),
      }),
    },
    'generate, by chance': {
      inputs: { ...drawing, uniform: [[L], uniform] },
      settings: { ...settings, temperature: '0.7' },
      want: () => ({
        codes: reference.generateCodes([before, uncond], order, uniform, { ...iterations, temperature: 0.7 }),
      }),
    },
  });
}

const { embedding_vit: _, ...rest } = base,
  json = { ...rest, variant: 'transfusion', diffusion: { prediction: 'epsilon', timesteps: 250 } };
const { source, config, weights } = randomCheckpoint<TransfusionConfig>(json),
  reference = new ReferenceTransfusion(config, weights);
testParts('transfusion', source, {
  ...commonCases(reference, L, d, tokens),
  encode: {
    inputs: { pixels: [[3, S, S], pixels] },
    want: () => ({ tokens: flat(reference.encode(rowsOf(planesToRows(pixels, 3), 3))) }),
  },
  denoise: {
    inputs: { before: [[5], before], tokens: [[L, d], tokens], t: [[1], [213]] },
    want: () => ({ out: flat(reference.denoise(before, rowsOf(tokens, d), 213)) }),
  },
  generate: {
    inputs: { before: [[5], before], uncond: [[2], uncond], noise: [[L, d], noise] },
    settings: { steps: '4', cfg: '1.5' },
    want: () => ({ tokens: flat(reference.generateWhole([before, uncond], rowsOf(noise, d), 4, 1.5)) }),
  },
});

test.run();
