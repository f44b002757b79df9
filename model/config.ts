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

export interface ImageTokenizerConfig {
  type: 'kl';
  in_channels: number;
  resolution: number;
  ch: number;
  ch_mult: number[];
  num_res_blocks: number;
  attn_resolutions: number[];
  z_channels: number;
  embed_dim: number;
  scaling_factor: number;
  norm_groups: number;
}

/** A checkpoint's `config.json`, checked (spec: checkpoint.md). */
export interface Config {
  image_tokens: number;
  image_tokenizer: ImageTokenizerConfig;
  embedding_vit: { depth: number; width: number; heads: number; mlp_ratio: number };
  plora: { rank: number; alpha: number };
  llm: LLMConfig;
  diffusion: { depth: number; width: number; mlp_ratio: number; prediction: Prediction; timesteps: number };
}

/** Checks every field of a `config.json`; a `checkpoint` error names the field, its value and what is wanted. */
export function parseConfig(json: unknown, place: string): Config {
  const root = new Fields(json, place, '');
  root.oneOf('model_type', ['mmar']);
  const variant = root.has('variant') ? root.text('variant') : undefined;
  if (variant !== undefined) {
    throw new MMARError(
      'checkpoint',
      `${place}: config.json: variant ${JSON.stringify(variant)} is not one that this version runs; use a checkpoint without "variant"`,
    );
  }
  const t = root.object('image_tokenizer'),
    e = root.object('embedding_vit'),
    l = root.object('llm'),
    d = root.object('diffusion'),
    p = root.object('plora');
  const config: Config = {
    image_tokens: root.count('image_tokens'),
    image_tokenizer: {
      type: t.oneOf('type', ['kl'] as const),
      in_channels: t.count('in_channels'),
      resolution: t.count('resolution'),
      ch: t.count('ch'),
      ch_mult: t.counts('ch_mult'),
      num_res_blocks: t.count('num_res_blocks'),
      attn_resolutions: t.counts('attn_resolutions', true),
      z_channels: t.count('z_channels'),
      embed_dim: t.count('embed_dim'),
      scaling_factor: t.positive('scaling_factor'),
      norm_groups: t.has('norm_groups') ? t.count('norm_groups') : 32,
    },
    embedding_vit: {
      depth: e.count('depth', 0),
      width: e.count('width'),
      heads: e.count('heads'),
      mlp_ratio: e.positive('mlp_ratio'),
    },
    plora: { rank: p.count('rank'), alpha: p.positive('alpha') },
    llm: parseLLM(l),
    diffusion: {
      depth: d.count('depth', 0),
      width: d.count('width'),
      mlp_ratio: d.positive('mlp_ratio'),
      prediction: d.oneOfOrNumber('prediction', ['v', 'epsilon', 'x']),
      timesteps: d.count('timesteps', 2),
    },
  };
  const { image_tokenizer: it, embedding_vit: ev } = config;
  const side = latentSide(config);
  root.want(
    Number.isInteger(side) && side * side === config.image_tokens,
    'image_tokens',
    `${side}² (resolution / 2^${it.ch_mult.length - 1}, squared)`,
  );
  for (const mult of it.ch_mult)
    t.want(
      (it.ch * mult) % it.norm_groups === 0,
      'norm_groups',
      `a divisor of every level's channels, such as ${it.ch * mult}`,
    );
  e.want(ev.width % ev.heads === 0, 'heads', `a divisor of width ${ev.width}`);
  e.want(Number.isInteger(ev.width * ev.mlp_ratio), 'mlp_ratio', `one that gives a whole width`);
  d.want(
    Number.isInteger(config.diffusion.width * config.diffusion.mlp_ratio),
    'mlp_ratio',
    'one that gives a whole width',
  );
  return config;
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

/** Pixels of the latent picture's side: resolution halved at each level but the last. */
export const latentSide = ({ image_tokenizer: t }: Config): number => t.resolution / 2 ** (t.ch_mult.length - 1);

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
