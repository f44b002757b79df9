// Models of odd sizes, and their parts on the device against what a reference gives.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Source } from '../../base/platform.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { safetensorsBytes } from '../../loaders/safetensors.ts';
import { type Config, parseConfig } from '../../model/config.ts';
import { loadMMAR, type MMAR } from '../../model/mmar.ts';
import { type TraceTensors, trace } from '../../model/trace.ts';
import { systemOf } from '../../model/variants/index.ts';
import { Weights } from '../../model/weights.ts';
import { bf16, device, hardwareDevice, numbers, relativeRms } from '../gpu.ts';

/** What bf16 is held to where one part's rounding goes on through many passes (0.06 was seen; tokens of zeros are off by 1). */
const bf16Bounds: Record<string, number> = { generate: 0.12 };

export const base = {
  model_type: 'mmar',
  image_tokens: 36,
  image_tokenizer: {
    type: 'kl',
    in_channels: 3,
    resolution: 24,
    ch: 10,
    ch_mult: [1, 2, 3],
    num_res_blocks: 1,
    attn_resolutions: [6],
    z_channels: 5,
    embed_dim: 3,
    scaling_factor: 0.31,
    norm_groups: 5,
  },
  embedding_vit: { depth: 2, width: 88, heads: 4, mlp_ratio: 2 },
  plora: { rank: 13, alpha: 5 },
  llm: {
    model_type: 'qwen2',
    hidden_size: 42,
    num_hidden_layers: 2,
    num_attention_heads: 7,
    num_key_value_heads: 1,
    intermediate_size: 57,
    vocab_size: 515,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    tie_word_embeddings: false,
  },
  diffusion: { depth: 2, width: 45, mlp_ratio: 3, prediction: 'x', timesteps: 250 },
};
/** Inputs of parts by name, with shapes; settings; the outputs that are wanted. `PART, REMARK` is a second case of a part. */
export type Cases = Record<
  string,
  {
    inputs: Record<string, [number[], ArrayLike<number>]>;
    settings?: Record<string, string>;
    want: () => Record<string, ArrayLike<number>>;
  }
>;

/** A checkpoint of bf16 random weights for a config, as a source and as plain numbers, which `change` may change first. */
export function randomCheckpoint<C extends Config>(
  json: object,
  change: (weights: Map<string, Float32Array>) => void = () => {},
): { source: Source; config: C; weights: Map<string, Float32Array> } {
  const config = parseConfig(json, 'test') as C,
    { required } = systemOf(new Weights('bf16', 'bf16', Infinity), config).weights,
    weights = new Map<string, Float32Array>();
  let seed = 1;
  for (const [name, shape] of required) {
    const size = shape.reduce((a, b) => a * b, 1),
      fanIn = shape.slice(1).reduce((a, b) => a * b, 1),
      norm = /norm.*\.weight$|_ln\.weight$|layernorm/.test(name);
    const scale = shape.length > 1 ? Math.sqrt(3 / fanIn) : 0.1;
    weights.set(
      name,
      numbers(size, 'f32', seed++).map((x) => bf16(x * scale + (norm ? 1 : 0))),
    );
  }
  change(weights);
  const tensors = [...weights].map(([name, values]) => ({
    name,
    dtype: 'BF16' as const,
    shape: required.get(name)!,
    data: Uint16Array.from(values, (x) => new Uint32Array(new Float32Array([x]).buffer)[0] >>> 16),
  }));
  const files = new Map([
    ['model.safetensors', safetensorsBytes(tensors)],
    ['config.json', new TextEncoder().encode(JSON.stringify(json))],
  ]);
  return { source: memorySource('test', files), config, weights };
}

const gpuKernels = device.adapter.architecture === 'swiftshader' ? await hardwareDevice() : undefined;
const partsOnGPUKernels = ['visual', 'hidden', 'diffusion', 'decode'];

/** A test of each case, in f32, in bf16 and, where that is here, with the kernels for real GPUs. */
export function testParts(name: string, source: Source, cases: Cases): void {
  const loaded = new Map<string, MMAR>();
  for (const [title, { inputs, settings, want }] of Object.entries(cases)) {
    const [part] = title.split(',');
    test(`${name}: ${title}`, async () => {
      const given: TraceTensors = new Map(
          Object.entries(inputs).map(([key, [shape, values]]) => [key, { shape, values }]),
        ),
        wanted = want();
      const runs: [string, 'f32' | 'bf16', typeof device][] = [
        ['f32', 'f32', device],
        ['bf16', 'bf16', device],
      ];
      if (gpuKernels && partsOnGPUKernels.includes(part)) runs.push(['f32 on GPU kernels', 'f32', gpuKernels]);
      for (const [key, precision, on] of runs) {
        const model = loaded.get(key) ?? (await loadMMAR(source, { device: on, precision }));
        loaded.set(key, model);
        const out = await trace(model, part, given, settings);
        for (const [output, want] of Object.entries(wanted)) {
          const { values, integers } = out.get(output)!;
          if (output === 'codes' && precision === 'bf16') continue; // one code that differs moves all that follow
          const error = relativeRms(values, want);
          if (process.env.MMAR_VERBOSE) console.log(`${name} ${part} ${key} ${output}: ${error}`);
          assert.ok(
            error <= (integers ? 0 : precision === 'f32' ? 1e-4 : (bf16Bounds[part] ?? 0.05)),
            `${key} ${output}: ${error}`,
          );
        }
      }
    });
  }
  test(`${name}: close`, async () => {
    for (const model of loaded.values()) await model.close();
  });
}
