import { Fields } from './fields.ts';
import type { Prediction } from './sampler.ts';
import { refuseUncomputed, refuseUnknown } from './uncomputed.ts';

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
export interface AutoencoderConfig {
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
  /** Divides tokens before they are decoded; 1 where the file has none, as it should. */
  scaling_factor: number;
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

/** The systems that draw token by token. */
export type MaskedConfig = MMARConfig | VQConfig;

/** A checkpoint's `config.json`, checked (spec: checkpoint.md). */
export type Config = MMARConfig | VQConfig | TransfusionConfig;

/** The most of what is repeated: a config is worked through before any file says how much of it there is. */
const most = { layers: 1024, resBlocks: 64, tokens: 2 ** 16, timesteps: 100_000 };

/** Keys of the parts that are MMAR's own; a part may have those of another variant, which are not read. */
const known = {
  image_tokenizer: [
    ...['type', 'in_channels', 'resolution', 'ch', 'ch_mult', 'num_res_blocks', 'attn_resolutions', 'z_channels'],
    ...['embed_dim', 'norm_groups', 'scaling_factor', 'codebook_size'],
  ],
  embedding_vit: ['depth', 'width', 'heads', 'mlp_ratio'],
  plora: ['rank', 'alpha'],
  diffusion: ['depth', 'width', 'mlp_ratio', 'prediction', 'timesteps'],
};

/**
 * Checks every field of a `config.json` that its variant reads, and that it asks for nothing that is not computed; a
 * `checkpoint` error names the field, its value and what is wanted.
 */
export function parseConfig(json: unknown, place: string): Config {
  const root = new Fields(json, place, '');
  root.oneOf('model_type', ['mmar']);
  const variant = root.has('variant') ? root.oneOf('variant', ['mmar', 'vq', 'transfusion'] as const) : 'mmar';
  const p = root.object('plora'),
    t = root.object('image_tokenizer');
  refuseUncomputed(root);
  for (const [part, keys] of Object.entries(known)) if (root.has(part)) refuseUnknown(root.object(part), keys);
  const common = {
    image_tokens: root.count('image_tokens', 1, most.tokens),
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
  const { max_position_embeddings } = config.llm;
  root.want(
    config.image_tokens + 3 < max_position_embeddings,
    'image_tokens',
    `room for text beside them in llm.max_position_embeddings, ${max_position_embeddings}`,
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
  return {
    type: t.oneOf('type', ['vq'] as const),
    codebook_size: t.count('codebook_size'),
    scaling_factor: t.has('scaling_factor') ? t.positive('scaling_factor') : 1,
    ...parseAutoencoder(t),
  };
}

function parseAutoencoder(t: Fields): AutoencoderConfig {
  const autoencoder: AutoencoderConfig = {
    in_channels: t.count('in_channels'),
    resolution: t.count('resolution'),
    ch: t.count('ch'),
    ch_mult: t.counts('ch_mult'),
    num_res_blocks: t.count('num_res_blocks', 1, most.resBlocks),
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
    depth: e.count('depth', 0, most.layers),
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
    timesteps: d.count('timesteps', 2, most.timesteps),
  };
}

function parseDiffusionMLP(d: Fields): MMARConfig['diffusion'] {
  const mlp = {
    depth: d.count('depth', 0, most.layers),
    width: d.count('width'),
    mlp_ratio: d.positive('mlp_ratio'),
    ...parseDiffusion(d),
  };
  d.want(Number.isInteger(mlp.width * mlp.mlp_ratio), 'mlp_ratio', 'one that gives a whole width');
  return mlp;
}

/** Checks a Qwen2 config; keys that it does not know are left alone, those that would change what is computed are refused. */
export function parseLLM(l: Fields): LLMConfig {
  l.oneOf('model_type', ['qwen2']);
  refuseUncomputed(l);
  const llm: LLMConfig = {
    hidden_size: l.count('hidden_size'),
    num_hidden_layers: l.count('num_hidden_layers', 0, most.layers),
    num_attention_heads: l.count('num_attention_heads'),
    num_key_value_heads: l.count('num_key_value_heads'),
    intermediate_size: l.count('intermediate_size'),
    vocab_size: l.count('vocab_size'),
    rms_norm_eps: l.positive('rms_norm_eps'),
    rope_theta: ropeTheta(l),
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
  const dim = llm.hidden_size / llm.num_attention_heads;
  if (l.has('head_dim')) l.want(l.value('head_dim') === dim, 'head_dim', `${dim}, hidden_size / num_attention_heads`);
  return llm;
}

/** Where newer configs have it, beside `rope_theta` or in its place. */
function ropeTheta(l: Fields): number {
  const within = l.has('rope_parameters') ? l.object('rope_parameters') : undefined;
  if (!within?.has('rope_theta')) return l.positive('rope_theta');
  const theta = within.positive('rope_theta');
  if (l.has('rope_theta')) within.want(theta === l.value('rope_theta'), 'rope_theta', 'that of rope_theta');
  return theta;
}

/** Pixels of the latent picture's side: resolution halved at each level but the last. */
export const latentSide = ({ resolution, ch_mult }: AutoencoderConfig): number =>
  resolution / 2 ** (ch_mult.length - 1);
