import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { selfAttention } from '../shaders/attention.ts';
import { type Affine, layerNorm } from '../shaders/layer_norm.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import { maskTokens } from '../shaders/mask_tokens.ts';
import type { MaskedConfig } from './config.ts';
import type { Activations, Weights } from './weights.ts';

const eps = 1e-6;

interface Block {
  norm1: Affine;
  qkv: Linear;
  proj: Linear;
  norm2: Affine;
  fc1: Linear;
  fc2: Linear;
}

/** The path of image tokens into the LLM: PostProjector, EmbeddingViT, VisProjector (spec section 3.1 to 3.4). */
export class EmbeddingViT {
  private readonly activations: Activations;
  private readonly post_projector: Linear[];
  private readonly vis_projector: Linear[];
  private readonly pos_embed: Tensor;
  private readonly mask_token: Tensor;
  private readonly blocks: Block[] = [];
  private readonly norm: Affine;

  constructor(
    w: Weights,
    private readonly config: MaskedConfig,
  ) {
    this.activations = w.activations;
    const { width: W, depth, heads, mlp_ratio } = config.embedding_vit,
      { embed_dim } = config.image_tokenizer,
      H = config.llm.hidden_size;
    this.post_projector = [w.linear('post_projector.0', embed_dim, W), w.linear('post_projector.2', W, W)];
    this.pos_embed = w.tensor('embedding_vit.pos_embed', [1, config.image_tokens, W]);
    this.mask_token = w.tensor('embedding_vit.mask_token', [1, 1, W]);
    for (let i = 0; i < depth; i++) {
      const prefix = `embedding_vit.blocks.${i}`,
        dim = W / heads;
      this.blocks.push({
        norm1: w.affine(`${prefix}.norm1`, W),
        qkv: w.stacked([{ prefix: `${prefix}.attn.qkv`, outFeatures: 3 * W, heads: { heads: 3 * heads, dim } }], W, {
          bias: true,
        }),
        proj: w.stacked([{ prefix: `${prefix}.attn.proj`, outFeatures: W }], W, {
          bias: true,
          inHeads: { heads, dim },
        }),
        norm2: w.affine(`${prefix}.norm2`, W),
        fc1: w.linear(`${prefix}.mlp.fc1`, W, mlp_ratio * W),
        fc2: w.linear(`${prefix}.mlp.fc2`, mlp_ratio * W, W),
      });
    }
    this.norm = w.affine('embedding_vit.norm', W);
    this.vis_projector = [
      w.linear('vis_projector.0', W, H),
      w.linear('vis_projector.2', H, H),
      w.linear('vis_projector.4', H, H),
    ];
  }

  /**
   * @param tokens f32 [pictures × L, d]
   * @param mask u32 [pictures × L], 1 = hidden
   * @returns what the LLM reads in the images' place, [pictures × L, H]
   */
  forward(p: Recorder, tokens: Tensor, mask: Tensor): Tensor {
    const { heads, width } = this.config.embedding_vit,
      pictures = tokens.rows / this.config.image_tokens,
      [post0, post2] = this.post_projector,
      [vis0, vis2, vis4] = this.vis_projector;
    const projected = linear(p, linear(p, tokens, post0, { act: 'gelu', type: this.activations }), post2);
    let x = maskTokens(p, projected, mask, this.mask_token, this.pos_embed);
    const through = (x: Tensor, b: Block): Tensor => {
      const qkv = linear(p, layerNorm(p, x, b.norm1, eps), b.qkv),
        seen = selfAttention(p, qkv, heads, width / heads, pictures),
        attended = linear(p, seen, b.proj, { residual: x });
      const inner = linear(p, layerNorm(p, attended, b.norm2, eps), b.fc1, { act: 'gelu' });
      return linear(p, inner, b.fc2, { residual: attended });
    };
    for (const b of this.blocks) {
      const before = x;
      x = p.block(() => through(before, b));
    }
    x = layerNorm(p, x, this.norm, eps);
    return linear(p, linear(p, linear(p, x, vis0, { act: 'gelu' }), vis2, { act: 'gelu' }), vis4);
  }
}
