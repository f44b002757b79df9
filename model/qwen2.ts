import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { elementBytes, roundUp, type Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import { gqa } from '../shaders/attention.ts';
import { embedTokens, gatherRows } from '../shaders/gather_rows.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import { rmsNorm } from '../shaders/rms_norm.ts';
import { type Heads, rope } from '../shaders/rope.ts';
import type { LayerCache, Sequences } from '../shaders/sequences.ts';
import type { LLMConfig } from './config.ts';
import type { Activations, Weights } from './weights.ts';

interface Layer {
  input_layernorm: Tensor;
  qkv: Linear;
  o_proj: Linear;
  post_attention_layernorm: Tensor;
  gateUp: Linear;
  down_proj: Linear;
}

/** Branches with their keys and values: what the LLM remembers. */
export interface Context extends Sequences {
  layers: LayerCache[];
}

/** An image's tokens, at last before the last layer, and their queries in it: its rest is for those tokens that are asked for. */
export interface ImageState {
  /** [branches × tokens, H] */
  x: Tensor;
  /** [branches × tokens, heads × headDim in whole quads] */
  q: Tensor;
}

/** How the rows of a pass relate: text is causal; an image's tokens see each other and go through PLoRA too. */
export type Span = 'text' | 'image';

/**
 * Qwen2 with PLoRA beside each projection (spec section 3.5 to 3.8). Image start and end are two more ids behind the
 * vocabulary, `vocab_size` and `vocab_size + 1`: they count as text.
 */
export class Qwen2 {
  readonly heads: Heads;
  readonly vocab_size: number;
  readonly image_start: number;
  readonly image_end: number;
  private readonly activations: Activations;
  private readonly embed: Tensor;
  /** Image start and end, [2, H]. */
  private readonly markers?: Tensor;
  private readonly layers: Layer[] = [];
  private readonly norm: Tensor;
  private readonly lm_head: Linear;
  /** RoPE's table. */
  private readonly inverseFrequency: Tensor;

  /** @param prefix `llm.` within MMAR; @param plora absent: text alone, and no image start and end */
  constructor(
    w: Weights,
    private readonly config: LLMConfig,
    prefix: string,
    lora?: { rank: number; alpha: number },
  ) {
    this.activations = w.activations;
    const { hidden_size: H, num_attention_heads, num_key_value_heads, intermediate_size: I, vocab_size } = config;
    const headDim = H / num_attention_heads,
      q = { heads: num_attention_heads, dim: headDim },
      kv = { heads: num_key_value_heads, dim: headDim };
    this.heads = { heads: num_attention_heads, kvHeads: num_key_value_heads, headDim };
    this.vocab_size = vocab_size;
    const frequency = (i: number): number => 1 / config.rope_theta ** ((2 * i) / headDim);
    this.inverseFrequency = w.table(
      'inverse_frequency',
      Float64Array.from({ length: headDim / 2 }, (_, i) => frequency(i)),
    );
    this.image_start = vocab_size;
    this.image_end = vocab_size + 1;
    this.embed = w.tensor(`${prefix}model.embed_tokens.weight`, [vocab_size, H]);
    // Tensors of their own: they learn, the vocabulary does not.
    const markers: [string, number][] = [
      ['image_start', 0],
      ['image_end', 0],
    ];
    this.markers = lora && w.rows(markers, H);
    for (let i = 0; i < config.num_hidden_layers; i++) {
      const l = `${prefix}model.layers.${i}`,
        part = (name: string, outFeatures: number, heads?: typeof q) => ({
          prefix: `${l}.${name}`,
          outFeatures,
          heads,
        });
      this.layers.push({
        input_layernorm: w.tensor(`${l}.input_layernorm.weight`, [H]),
        qkv: w.stacked(
          [
            part('self_attn.q_proj', q.heads * headDim, q),
            part('self_attn.k_proj', kv.heads * headDim, kv),
            part('self_attn.v_proj', kv.heads * headDim, kv),
          ],
          H,
          { bias: true, lora },
        ),
        o_proj: w.stacked([part('self_attn.o_proj', H)], H, { lora, inHeads: q }),
        post_attention_layernorm: w.tensor(`${l}.post_attention_layernorm.weight`, [H]),
        gateUp: w.stacked([part('mlp.gate_proj', I), part('mlp.up_proj', I)], H, { lora }),
        down_proj: w.stacked([part('mlp.down_proj', H)], I, { lora }),
      });
    }
    this.norm = w.tensor(`${prefix}model.norm.weight`, [H]);
    this.lm_head = config.tie_word_embeddings
      ? { weight: this.embed }
      : w.linear(`${prefix}lm_head`, H, vocab_size, { bias: false });
  }

  /** Device state for `branches` sequences of up to `capacity` tokens, in `workspace`. */
  context(workspace: Pick<Workspace, 'tensor'>, branches: number, capacity: number): Context {
    const { kvHeads, headDim } = this.heads,
      width = kvHeads * roundUp(headDim, 4),
      shape = [branches * capacity, width];
    const cache = (name: string) => workspace.tensor(`cache.${name}`, this.activations, shape);
    return {
      branches,
      capacity,
      position: workspace.tensor('position', 'u32', [branches]),
      ids: workspace.tensor('ids', 'u32', [branches, capacity]),
      layers: this.layers.map((_, i) => ({ k: cache(`${i}.k`), v: cache(`${i}.v`) })),
    };
  }

  /** The most rows whose every activation the device binds in one piece. */
  mostRows(device: Device): number {
    const widest = Math.max(
      2 * roundUp(this.config.intermediate_size, 4),
      this.layers[0]?.qkv.weight.rows ?? 0,
      roundUp(this.config.hidden_size, 4),
    );
    return Math.floor(device.maxBinding / (widest * elementBytes(this.activations)));
  }

  /** Rows of each pass that `count` tokens of text take: as many as the device binds at once, at most 512. */
  passes(device: Device, count: number): number[] {
    const most = Math.max(1, Math.min(512, this.mostRows(device)));
    const passes = new Array<number>(Math.floor(count / most)).fill(most);
    return count % most ? [...passes, count % most] : passes;
  }

  /** Embeddings of the next `count` tokens of each branch, [branches × count, H]. */
  embedTokens(p: Recorder, context: Context, count: number): Tensor {
    const tables = this.markers ? [this.embed, this.markers] : [this.embed];
    return embedTokens(p, tables, context, count, this.activations);
  }

  /**
   * Runs new tokens through all layers; their keys and values go to the cache at each branch's position, which stays
   * where it is (`advance` moves it).
   * @param x [branches × count, H]
   * @returns hidden states after the final norm, [branches × count, H]
   */
  forward(p: Recorder, x: Tensor, context: Context, span: Span): Tensor {
    for (const i of this.layers.keys()) {
      const before = x;
      x = p.block(() => this.mix(p, before, this.queries(p, before, context, span, i), context, span, i));
    }
    return rmsNorm(p, x, this.norm, this.config.rms_norm_eps);
  }

  /** What `imagePass` begins with and leaves for `imageRows`, of so many tokens. */
  imageState(workspace: Pick<Workspace, 'tensor'>, tokens: number): ImageState {
    const { heads, headDim } = this.heads;
    return {
      x: workspace.tensor('last layer x', this.activations, [tokens, this.config.hidden_size]),
      q: workspace.tensor('last layer q', this.activations, [tokens, heads * roundUp(headDim, 4)]),
    };
  }

  /** Runs an image's tokens, `state.x`, up to the queries, keys and values of the last layer: the rest is each token's own. */
  imagePass(p: Recorder, state: ImageState, context: Context): void {
    const last = this.layers.length - 1;
    let { x } = state;
    for (let i = 0; i < last; i++) {
      const into = i === last - 1 ? state.x : undefined;
      x = this.mix(p, x, this.queries(p, x, context, 'image', i), context, 'image', i, { into });
    }
    this.queries(p, x, context, 'image', last, state.q);
  }

  /**
   * Hidden states after the final norm of some of an image's tokens.
   * @param rows u32 [m]: the same of each of `branches` equal blocks of tokens, of each image equally many
   * @returns [branches × m, H]
   */
  imageRows(p: Recorder, { x, q }: ImageState, context: Context, rows: Tensor, branches: number): Tensor {
    const [own, asks] = [x, q].map((all) => gatherRows(p, all, rows, branches));
    const last = this.layers.length - 1;
    const y = this.mix(p, own, asks, context, 'image', last, { together: x.rows / context.branches });
    return rmsNorm(p, y, this.norm, this.config.rms_norm_eps);
  }

  /** Queries of a layer; its keys and values go to the cache. */
  private queries(p: Recorder, x: Tensor, context: Context, span: Span, i: number, into?: Tensor): Tensor {
    const { input_layernorm: weight, qkv } = this.layers[i],
      norm = { kind: 'rms', weight, eps: this.config.rms_norm_eps } as const;
    const made = linear(p, x, qkv, { norm, lora: span === 'image' });
    return rope(p, made, this.inverseFrequency, context.layers[i], context, this.heads, into);
  }

  /**
   * What follows of a layer: attention, and what each row does alone.
   * @param together tokens of an image, where not all of them are here
   */
  private mix(
    p: Recorder,
    x: Tensor,
    q: Tensor,
    context: Context,
    span: Span,
    i: number,
    { together, into }: { together?: number; into?: Tensor } = {},
  ): Tensor {
    const { o_proj, post_attention_layernorm: weight, gateUp, down_proj } = this.layers[i],
      norm = { kind: 'rms', weight, eps: this.config.rms_norm_eps } as const,
      lora = span === 'image';
    const seen = gqa(p, q, context.layers[i], context, this.heads, span === 'text', together),
      attended = linear(p, seen, o_proj, { lora, residual: x });
    const gated = linear(p, attended, gateUp, { norm, lora, swiglu: this.config.intermediate_size });
    return linear(p, gated, down_proj, { lora, residual: attended, into });
  }

  /**
   * The text head.
   * @param hidden [n, H]
   * @returns logits f32 [n, vocab_size or more]: columns past `vocab_size` mean nothing
   */
  logits(p: Recorder, hidden: Tensor): Tensor {
    return linear(p, hidden, this.lm_head, { name: 'lm_head', type: 'f32' });
  }
}
