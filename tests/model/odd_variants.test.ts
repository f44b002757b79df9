// VQ and Transfusion of sizes that fit nothing, as odd_sizes.test.ts has MMAR: every part that they have, in f32 against the
// f64 reference with the same codes and ids, in bf16 as close as rounding allows.
import { test } from 'uvu';
import type { TransfusionConfig, VQConfig } from '../../model/config.ts';
import { planesToRows, rowsToPlanes } from '../../model/image_codec.ts';
import { numbers } from '../gpu.ts';
import { base, type Cases, randomCheckpoint, testParts } from './odd.ts';
import { flat, type ReferenceModel, rowsOf } from './reference.ts';
import { ReferenceTransfusion, ReferenceVQ } from './reference_variants.ts';

const L = base.image_tokens,
  d = base.image_tokenizer.embed_dim,
  S = base.image_tokenizer.resolution,
  before = [3, 514, 77, 0, 200],
  after = [9, 1, 414],
  uncond = [5, 6];
const tokens = numbers(L * d, 'f32', 7),
  noise = numbers(L * d, 'f32', 11),
  uniform = numbers(L, 'f32', 13).map((x) => Math.abs(x) % 1),
  pixels = numbers(3 * S * S, 'f32', 12);
const mask = Uint8Array.from({ length: L }, (_, i) => Number(i % 3 === 1)),
  order = Array.from({ length: L }, (_, i) => (i * 5 + 2) % L);

/** Parts of both. */
const common = (reference: ReferenceModel): Cases => ({
  text: {
    inputs: { before: [[5], before] },
    want() {
      const hidden = reference.llm(
        before.map((id) => reference.embedding(id)),
        before.map(() => false),
      );
      return { hidden: flat(hidden), logits: reference.logits(hidden.at(-1)!) };
    },
  },
  describe: {
    inputs: { before: [[5], before], tokens: [[L, d], tokens], after: [[3], after] },
    settings: { max_new_tokens: '4' },
    want: () => ({ ids: reference.describe(before, rowsOf(tokens, d), after, 4) }),
  },
  decode: {
    inputs: { tokens: [[L, d], tokens] },
    want: () => ({ pixels: rowsToPlanes(flat(reference.decode(rowsOf(tokens, d))), 3) }),
  },
});

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
    ...common(reference),
    visual: {
      inputs: { tokens: [[L, d], tokens], mask: [[L], mask] },
      want: () => ({ visual: flat(reference.visual(rowsOf(tokens, d), mask)) }),
    },
    hidden: {
      inputs: { before: [[5], before], tokens: [[L, d], tokens], mask: [[L], mask], after: [[3], after] },
      want() {
        const { x, image } = reference.sequence(before, reference.visual(rowsOf(tokens, d), mask), after),
          hidden = reference.llm(x, image);
        return { hidden: flat(hidden), logits: reference.logits(hidden.at(-1)!) };
      },
    },
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
  ...common(reference),
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
