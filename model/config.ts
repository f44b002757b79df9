import { MMARError } from '../base/error.ts';
import type { Prediction } from './sampler.ts';

/** Qwen2's sizes, by the names of its Hugging Face config. */
export interface LLMConfig {
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  intermediate_size: number;
  vocab_size: number;
  rms_norm_eps: number;
  rope_theta: number;
  tie_word_embeddings: boolean;
  max_position_embeddings: number;
}

/** What both image tokenizers have: LDM's encoder and decoder. */
interface AutoencoderConfig {
  in_channels: number;
  resolution: number;
  ch: number;
  ch_mult: number[];
  num_res_blocks: number;
  attn_resolutions: number[];
  z_channels: number;
  embed_dim: number;
  norm_groups: number;
}

/** KL-16: tokens are the latent's values times `scaling_factor`. */
export interface KLConfig extends AutoencoderConfig {
  type: 'kl';
  scaling_factor: number;
}

/** VQ-16: tokens are rows of a codebook. */
export interface CodebookConfig extends AutoencoderConfig {
  type: 'vq';
  codebook_size: number;
}

export type ImageTokenizerConfig = KLConfig | CodebookConfig;

/** What a diffusion is asked for and over how many time steps. */
export interface DiffusionProcess {
  prediction: Prediction;
  timesteps: number;
}

/** What all three systems have. */
interface CommonConfig {
  image_tokens: number;
  plora: { rank: number; alpha: number };
  llm: LLMConfig;
}

/** Masked auto-regression over continuous tokens, drawn by a Diffusion MLP. */
export interface MMARConfig extends CommonConfig {
  variant: 'mmar';
  image_tokenizer: KLConfig;
  embedding_vit: EmbeddingViTConfig;
  diffusion: DiffusionProcess & { depth: number; width: number; mlp_ratio: number };
}

/** Ablation-VQ: masked auto-regression over the codes of a codebook. */
export interface VQConfig extends CommonConfig {
  variant: 'vq';
  image_tokenizer: CodebookConfig;
  embedding_vit: EmbeddingViTConfig;
}

/** The Transfusion re-implementation: the LLM denoises all tokens at once. */
export interface TransfusionConfig extends CommonConfig {
  variant: 'transfusion';
  image_tokenizer: KLConfig;
  diffusion: DiffusionProcess;
}

export interface EmbeddingViTConfig {
  depth: number;
  width: number;
  heads: number;
  mlp_ratio: number;
}

/** A checkpoint's `config.json`, checked (spec: checkpoint.md). */
export type Config = MMARConfig | VQConfig | TransfusionConfig;

/** Checks every field of a `config.json` that its variant reads; a `checkpoint` error names the field, its value and what is wanted. */
export function parseConfig(json: unknown, place: string): Config {
  const root = new Fields(json, place, '');
  root.oneOf('model_type', ['mmar']);
  const variant = root.has('variant') ? root.oneOf('variant', ['mmar', 'vq', 'transfusion'] as const) : 'mmar';
  const p = root.object('plora'),
    t = root.object('image_tokenizer');
  const common = {
    image_tokens: root.count('image_tokens'),
    plora: { rank: p.count('rank'), alpha: p.positive('alpha') },
    llm: parseLLM(root.object('llm')),
  };
  const config: Config =
    variant === 'mmar'
      ? {
          variant,
          ...common,
          image_tokenizer: parseKL(t),
          embedding_vit: parseViT(root.object('embedding_vit')),
          diffusion: parseDiffusionMLP(root.object('diffusion')),
        }
      : variant === 'vq'
        ? {
            variant,
            ...common,
            image_tokenizer: parseCodebook(t),
            embedding_vit: parseViT(root.object('embedding_vit')),
          }
        : {
            variant,
            ...common,
            image_tokenizer: parseKL(t),
            diffusion: parseDiffusion(root.object('diffusion')),
          };
  const side = latentSide(config.image_tokenizer);
  root.want(
    Number.isInteger(side) && side * side === config.image_tokens,
    'image_tokens',
    `${side}² (resolution / 2^${config.image_tokenizer.ch_mult.length - 1}, squared)`,
  );
  return config;
}

function parseKL(t: Fields): KLConfig {
  return {
    type: t.oneOf('type', ['kl'] as const),
    scaling_factor: t.positive('scaling_factor'),
    ...parseAutoencoder(t),
  };
}

function parseCodebook(t: Fields): CodebookConfig {
  return { type: t.oneOf('type', ['vq'] as const), codebook_size: t.count('codebook_size'), ...parseAutoencoder(t) };
}

function parseAutoencoder(t: Fields): AutoencoderConfig {
  const autoencoder: AutoencoderConfig = {
    in_channels: t.count('in_channels'),
    resolution: t.count('resolution'),
    ch: t.count('ch'),
    ch_mult: t.counts('ch_mult'),
    num_res_blocks: t.count('num_res_blocks'),
    attn_resolutions: t.counts('attn_resolutions', true),
    z_channels: t.count('z_channels'),
    embed_dim: t.count('embed_dim'),
    norm_groups: t.has('norm_groups') ? t.count('norm_groups') : 32,
  };
  for (const mult of autoencoder.ch_mult)
    t.want(
      (autoencoder.ch * mult) % autoencoder.norm_groups === 0,
      'norm_groups',
      `a divisor of every level's channels, such as ${autoencoder.ch * mult}`,
    );
  return autoencoder;
}

function parseViT(e: Fields): EmbeddingViTConfig {
  const vit: EmbeddingViTConfig = {
    depth: e.count('depth', 0),
    width: e.count('width'),
    heads: e.count('heads'),
    mlp_ratio: e.positive('mlp_ratio'),
  };
  e.want(vit.width % vit.heads === 0, 'heads', `a divisor of width ${vit.width}`);
  e.want(Number.isInteger(vit.width * vit.mlp_ratio), 'mlp_ratio', 'one that gives a whole width');
  return vit;
}

function parseDiffusion(d: Fields): DiffusionProcess {
  return {
    prediction: d.oneOfOrNumber('prediction', ['v', 'epsilon', 'x']),
    timesteps: d.count('timesteps', 2),
  };
}

function parseDiffusionMLP(d: Fields): MMARConfig['diffusion'] {
  const mlp = {
    depth: d.count('depth', 0),
    width: d.count('width'),
    mlp_ratio: d.positive('mlp_ratio'),
    ...parseDiffusion(d),
  };
  d.want(Number.isInteger(mlp.width * mlp.mlp_ratio), 'mlp_ratio', 'one that gives a whole width');
  return mlp;
}

/** Checks a Qwen2 config; keys that it does not know are left alone. */
export function parseLLM(l: Fields): LLMConfig {
  l.oneOf('model_type', ['qwen2']);
  const llm: LLMConfig = {
    hidden_size: l.count('hidden_size'),
    num_hidden_layers: l.count('num_hidden_layers', 0),
    num_attention_heads: l.count('num_attention_heads'),
    num_key_value_heads: l.count('num_key_value_heads'),
    intermediate_size: l.count('intermediate_size'),
    vocab_size: l.count('vocab_size'),
    rms_norm_eps: l.positive('rms_norm_eps'),
    rope_theta: l.positive('rope_theta'),
    tie_word_embeddings: l.has('tie_word_embeddings') ? l.flag('tie_word_embeddings') : false,
    max_position_embeddings: l.has('max_position_embeddings') ? l.count('max_position_embeddings') : 32768,
  };
  l.want(
    llm.hidden_size % llm.num_attention_heads === 0 && (llm.hidden_size / llm.num_attention_heads) % 2 === 0,
    'num_attention_heads',
    `one that gives heads of even width from ${llm.hidden_size}`,
  );
  l.want(
    llm.num_attention_heads % llm.num_key_value_heads === 0,
    'num_key_value_heads',
    `a divisor of ${llm.num_attention_heads}`,
  );
  return llm;
}

/** The config of an MMAR; a `checkpoint` error for another variant, which has other parts. */
export function asMMAR(config: Config, place: string): MMARConfig {
  if (config.variant === 'mmar') return config;
  throw new MMARError(
    'checkpoint',
    `${place}: config.json: variant "${config.variant}" has no such parts; use a checkpoint without "variant"`,
  );
}

/** Pixels of the latent picture's side: resolution halved at each level but the last. */
export const latentSide = ({ resolution, ch_mult }: AutoencoderConfig): number =>
  resolution / 2 ** (ch_mult.length - 1);

/** Reads the fields of a JSON object, naming the one that is wrong. */
export class Fields {
  private readonly values: Record<string, unknown>;

  constructor(
    json: unknown,
    private readonly place: string,
    private readonly path: string,
  ) {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new MMARError(
        'checkpoint',
        `${place}: config.json: ${path ? `${path.slice(0, -1)} is` : 'the file is'} ${shown(json)}; want an object`,
      );
    }
    this.values = json as Record<string, unknown>;
  }

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  want(holds: boolean, key: string, wanted: string): void {
    if (!holds)
      throw new MMARError(
        'checkpoint',
        `${this.place}: config.json: ${this.path}${key} is ${shown(this.values[key])}; want ${wanted}`,
      );
  }

  object(key: string): Fields {
    this.want(this.has(key), key, 'an object');
    return new Fields(this.values[key], this.place, `${this.path}${key}.`);
  }

  /** A whole number of at least `least`. */
  count(key: string, least = 1): number {
    const value = this.values[key];
    this.want(
      Number.isSafeInteger(value) && (value as number) >= least && (value as number) < 2 ** 31,
      key,
      `a whole number from ${least} up`,
    );
    return value as number;
  }

  counts(key: string, mayBeEmpty = false): number[] {
    const value = this.values[key];
    const holds =
      Array.isArray(value) &&
      (mayBeEmpty || value.length > 0) &&
      value.length <= 16 &&
      value.every((n) => Number.isSafeInteger(n) && n > 0);
    this.want(holds, key, 'a list of whole numbers from 1 up');
    return value as number[];
  }

  positive(key: string): number {
    const value = this.values[key];
    this.want(typeof value === 'number' && value > 0 && Number.isFinite(value), key, 'a number over 0');
    return value as number;
  }

  flag(key: string): boolean {
    this.want(typeof this.values[key] === 'boolean', key, 'true or false');
    return this.values[key] as boolean;
  }

  text(key: string): string {
    this.want(typeof this.values[key] === 'string', key, 'a text');
    return this.values[key] as string;
  }

  oneOf<const T extends string>(key: string, choices: readonly T[]): T {
    this.want(choices.includes(this.values[key] as T), key, choices.map((c) => JSON.stringify(c)).join(' or '));
    return this.values[key] as T;
  }

  /** One of the choices, or a number. */
  oneOfOrNumber<const T extends string>(key: string, choices: readonly T[]): T | number {
    return Number.isFinite(this.values[key]) ? (this.values[key] as number) : this.oneOf(key, choices);
  }
}

const shown = (value: unknown): string =>
  value === undefined ? 'missing' : (JSON.stringify(value) ?? String(value)).slice(0, 60);
