// Models whose sizes fit nothing: heads of 6 and 22, 7 heads over 1 kv head, rank 13, 36 tokens, vocabulary 515 … in f32
// against the f64 reference, and in bf16 as close as rounding allows; some parts also with the kernels for real GPUs, on
// SwiftShader (lavapipe takes minutes to compile them). Each is a checkpoint made here, of random weights.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCheckpoint } from '../../loaders/checkpoint.ts';
import type { MMARConfig } from '../../model/config.ts';
import { planesToRows } from '../../model/image_codec.ts';
import { count, gather } from '../../model/layout.ts';
import { loadWeights } from '../../model/load_weights.ts';
import { systemOf } from '../../model/variants/index.ts';
import { Weights } from '../../model/weights.ts';
import { device, numbers } from '../gpu.ts';
import { base, type Cases, randomCheckpoint, testParts } from './odd.ts';
import { before, commonCases, maskedCases, oddInputs, uncond } from './odd_cases.ts';
import { flat, ReferenceModel, rowsOf } from './reference.ts';

const models: Record<string, object> = {
  'heads of 6, 7 over 1': base,
  'heads of 22, tied, v': {
    ...base,
    image_tokens: 9,
    image_tokenizer: { ...base.image_tokenizer, resolution: 12, attn_resolutions: [], embed_dim: 6 },
    embedding_vit: { depth: 1, width: 33, heads: 3, mlp_ratio: 4 },
    llm: { ...base.llm, hidden_size: 66, num_attention_heads: 3, num_key_value_heads: 3, tie_word_embeddings: true },
    plora: { rank: 1, alpha: 0.25 },
    diffusion: { ...base.diffusion, prediction: 'v', width: 64 },
  },
};

for (const [name, json] of Object.entries(models)) {
  const { source, config, weights } = randomCheckpoint<MMARConfig>(json),
    reference = new ReferenceModel(config, weights);
  const L = config.image_tokens,
    d = config.image_tokenizer.embed_dim,
    H = config.llm.hidden_size,
    S = config.image_tokenizer.resolution,
    n = 5;
  const { tokens, noise, pixels, mask, order } = oddInputs(L, d, S);
  const x = numbers(n * d, 'f32', 8),
    z = numbers(n * H, 'f32', 9),
    z_uncond = numbers(n * H, 'f32', 10),
    t = [0, 249, 100, 3, 77];

  test(`${name}: what was loaded and is saved again is the file, bit for bit`, async () => {
    const parts = systemOf(new Weights('bf16', 'bf16', device.maxBinding), config).weights,
      checkpoint = await openCheckpoint(source);
    await loadWeights(device, parts, checkpoint);
    const partly: string[] = [];
    for (const { tensor, blocks } of parts.layout) {
      const rows = new Uint16Array(await device.readRows(tensor));
      for (const block of blocks) {
        const bytes = new Uint8Array(2 * count(block.rows) * count(block.cols));
        if (bytes.length < checkpoint.place(block.name).entry.bytes) partly.push(block.name);
        await checkpoint.read(block.name, 0, bytes);
        assert.ok(Buffer.from(gather(block, tensor, rows).buffer).equals(bytes), block.name);
      }
    }
    assert.equal(partly, ['image_tokenizer.quant_conv.weight', 'image_tokenizer.quant_conv.bias']);
    parts.release(device);
  });

  const cases: Cases = {
    ...commonCases(reference, L, d, tokens),
    ...maskedCases(reference, L, d, tokens, mask),
    diffusion: {
      inputs: { x: [[n, d], x], t: [[n], t], z: [[n, H], z] },
      want: () => ({ out: flat(rowsOf(x, d).map((row, i) => reference.diffusion(row, t[i], rowsOf(z, H)[i]))) }),
    },
    sample: {
      inputs: { z: [[n, H], z], z_uncond: [[n, H], z_uncond], noise: [[n, d], x] },
      settings: { steps: '7', cfg: '1.7' },
      want: () => ({
        tokens: flat(
          rowsOf(x, d).map((row, i) => reference.sample(rowsOf(z, H)[i], rowsOf(z_uncond, H)[i], row, 7, 1.7)),
        ),
      }),
    },
    generate: {
      inputs: { before: [[5], before], uncond: [[2], uncond], order: [[L], order], noise: [[L, d], noise] },
      settings: { iterations: '3', steps: '4', cfg: '1.5', cfg_schedule: 'linear' },
      want: () => ({
        tokens: flat(
          reference.generate(before, uncond, order, rowsOf(noise, d), {
            iterations: 3,
            steps: 4,
            cfg: 1.5,
            cfg_schedule: 'linear',
          }),
        ),
      }),
    },
    encode: {
      inputs: { pixels: [[3, S, S], pixels] },
      want: () => ({ tokens: flat(reference.encode(rowsOf(planesToRows(pixels, 3), 3))) }),
    },
  };
  testParts(name, source, cases);
}

test.run();
