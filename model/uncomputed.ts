/** Keys of a config that change the mathematics: each has the value that is computed, or is refused by name. */
import type { Fields } from './fields.ts';

interface Rule {
  keys: string[];
  holds: (value: unknown) => boolean;
  wanted: string;
}

const only = (value: unknown, ...keys: string[]): Rule => ({
  keys,
  holds: (found) => found === value,
  wanted: `${JSON.stringify(value)}, which is what is computed`,
});
/** Nothing, or what says the same. */
const none = (...keys: string[]): Rule => ({
  keys,
  holds: (found) => found === false || found === 0 || isEmpty(found),
  wanted: 'none: it is not computed',
});
const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** Positions that are rotated as Qwen2 does it, unscaled; `rope_theta` may stand among them. */
function plainRope(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { rope_theta, rope_type = 'default', type = 'default', ...more } = value;
  return rope_type === 'default' && type === 'default' && isEmpty(more);
}

/** Of a Qwen2 config, and of the configs of other models that are written like one. */
const llm: Rule[] = [
  {
    keys: ['hidden_act', 'hidden_activation'],
    holds: (value) => value === 'silu' || value === 'swish',
    wanted: '"silu", which is what is computed',
  },
  {
    keys: ['rope_scaling', 'rope_parameters'],
    holds: (value) => isEmpty(value) || plainRope(value),
    wanted: 'none: positions are not scaled',
  },
  {
    keys: ['layer_types'],
    holds: (value) => Array.isArray(value) && value.every((type) => type === 'full_attention'),
    wanted: '"full_attention" for each layer, which is what is computed',
  },
  only(true, 'attention_bias', 'qkv_bias', 'use_qkv_bias', 'is_causal'),
  only(1, 'partial_rotary_factor', 'rotary_pct', 'logit_scale', 'logits_scaling'),
  only(1, 'embedding_multiplier', 'residual_multiplier', 'lm_head_multiplier', 'scale_emb', 'scale_depth'),
  none('mlp_bias', 'lm_head_bias', 'o_bias', 'use_bias', 'use_sliding_window', 'use_mrope', 'mrope_section'),
  none('qk_norm', 'use_qk_norm', 'qk_layernorm', 'rope_interleaved', 'rope_interleave', 'use_bidirectional_attention'),
  none('attn_logit_softcapping', 'final_logit_softcapping', 'attention_multiplier', 'query_pre_attn_scalar'),
  none('num_experts', 'num_local_experts', 'n_routed_experts', 'num_experts_per_tok', 'moe_intermediate_size'),
  none('shared_expert_intermediate_size', 'n_shared_experts', 'alibi', 'add_cross_attention', 'is_encoder_decoder'),
  none('quantization_config', 'compression_config', 'dual_chunk_attention_config', 'use_parallel_residual'),
];

/** Refuses what a text model's config asks for and Qwen2's graph has not. */
export function refuseUncomputed(fields: Fields): void {
  for (const { keys, holds, wanted } of llm)
    for (const key of keys) if (fields.has(key)) fields.want(holds(fields.value(key)), key, wanted);
}

/** Keys that say nothing about what a trained model computes. */
const inert = /^(_.*|.*dropout|name|comment)$/;

/** Refuses every key of a part of MMAR's own config that is not among `known`: what it asks for is not computed. */
export function refuseUnknown(fields: Fields, known: readonly string[]): void {
  for (const key of fields.keys())
    if (!known.includes(key) && !inert.test(key) && fields.has(key))
      fields.want(false, key, `none: it is not computed (${known.join(', ')} are)`);
}
