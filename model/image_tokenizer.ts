import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { selfAttention } from '../shaders/attention.ts';
import { type Conv, conv2d, type Map2D } from '../shaders/conv2d.ts';
import { groupNorm } from '../shaders/group_norm.ts';
import type { Affine } from '../shaders/layer_norm.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import { type AutoencoderConfig, latentSide } from './config.ts';
import type { Activations, Weights } from './weights.ts';

const eps = 1e-6;

/** What an image becomes: f32 [L, d], and of a codebook the rows' numbers, u32 [L]. */
export interface Encoded {
  tokens: Tensor;
  codes?: Tensor;
}

/** Pictures to tokens and back. */
export interface ImageTokenizer {
  /** @param pixels f32 [S × S, 3] in [-1, 1] */
  encode(p: Recorder, pixels: Tensor): Encoded;
  /**
   * @param tokens f32 [L, d]
   * @returns pixels f32 [S × S, 3], not clamped
   */
  decode(p: Recorder, tokens: Tensor): Tensor;
}

/** LDM's encoder and decoder (spec section 2): pictures to latents and back. Activations are [pixels, channels]. */
export class Autoencoder {
  readonly activations: Activations;
  private readonly encoder: { conv_in: Conv; down: Level[]; mid: Middle; norm_out: Affine; conv_out: Conv };
  private readonly decoder: { conv_in: Conv; up: Level[]; mid: Middle; norm_out: Affine; conv_out: Conv };

  /** @param latentChannels of the encoder's output */
  constructor(
    w: Weights,
    private readonly config: AutoencoderConfig,
    latentChannels: number,
  ) {
    this.activations = w.activations;
    const { ch, ch_mult, in_channels, z_channels, resolution, num_res_blocks, attn_resolutions } = config;
    const width = (level: number) => ch * ch_mult[level],
      last = ch_mult.length - 1,
      top = width(last);

    const down: Level[] = [];
    for (let level = 0, channels = ch; level <= last; channels = width(level++)) {
      down.push(
        new Level(w, `image_tokenizer.encoder.down.${level}`, {
          in_channels: channels,
          channels: width(level),
          blocks: num_res_blocks,
          attention: attn_resolutions.includes(resolution / 2 ** level),
          resample: level < last ? 'downsample' : undefined,
        }),
      );
    }
    this.encoder = {
      conv_in: w.conv('image_tokenizer.encoder.conv_in', in_channels, ch),
      down,
      mid: new Middle(w, 'image_tokenizer.encoder.mid', top),
      norm_out: w.affine('image_tokenizer.encoder.norm_out', top),
      conv_out: w.conv('image_tokenizer.encoder.conv_out', top, latentChannels),
    };

    const up: Level[] = [];
    for (let level = last, channels = top; level >= 0; channels = width(level--)) {
      up.push(
        new Level(w, `image_tokenizer.decoder.up.${level}`, {
          in_channels: channels,
          channels: width(level),
          blocks: num_res_blocks + 1,
          attention: attn_resolutions.includes(resolution / 2 ** level),
          resample: level > 0 ? 'upsample' : undefined,
        }),
      );
    }
    this.decoder = {
      conv_in: w.conv('image_tokenizer.decoder.conv_in', z_channels, top),
      mid: new Middle(w, 'image_tokenizer.decoder.mid', top),
      up,
      norm_out: w.affine('image_tokenizer.decoder.norm_out', width(0)),
      conv_out: w.conv('image_tokenizer.decoder.conv_out', width(0), in_channels),
    };
  }

  /**
   * @param pixels f32 [S × S, 3] in [-1, 1]
   * @returns [L, latent channels]
   */
  encode(p: Recorder, pixels: Tensor): Tensor {
    const { resolution, norm_groups } = this.config;
    const { conv_in, down, mid, norm_out, conv_out } = this.encoder;
    let h = conv2d(p, { x: pixels, height: resolution, width: resolution }, conv_in, { type: this.activations });
    for (const level of down) h = level.forward(p, h, norm_groups);
    h = mid.forward(p, h, norm_groups);
    return conv2d(p, { ...h, x: groupNorm(p, h.x, norm_out, norm_groups, eps, 'silu') }, conv_out).x;
  }

  /**
   * @param z [L, z channels]
   * @returns pixels f32 [S × S, 3], not clamped
   */
  decode(p: Recorder, z: Tensor): Tensor {
    const { norm_groups } = this.config;
    const { conv_in, mid, up, norm_out, conv_out } = this.decoder;
    const side = latentSide(this.config);
    let h = mid.forward(p, conv2d(p, { x: z, height: side, width: side }, conv_in), norm_groups);
    for (const level of up) h = level.forward(p, h, norm_groups);
    return conv2d(p, { ...h, x: groupNorm(p, h.x, norm_out, norm_groups, eps, 'silu') }, conv_out, { type: 'f32' }).x;
  }
}

/** Residual blocks of one resolution, attention after each where it has it, and the step to the next resolution. */
class Level {
  private readonly block: ResnetBlock[] = [];
  private readonly attn: AttnBlock[] = [];
  private readonly downsample?: Conv;
  private readonly upsample?: Conv;

  constructor(
    w: Weights,
    prefix: string,
    o: {
      in_channels: number;
      channels: number;
      blocks: number;
      attention: boolean;
      resample?: 'downsample' | 'upsample';
    },
  ) {
    for (let b = 0; b < o.blocks; b++) {
      this.block.push(new ResnetBlock(w, `${prefix}.block.${b}`, b ? o.channels : o.in_channels, o.channels));
      if (o.attention) this.attn.push(new AttnBlock(w, `${prefix}.attn.${b}`, o.channels));
    }
    if (o.resample) this[o.resample] = w.conv(`${prefix}.${o.resample}.conv`, o.channels, o.channels);
  }

  forward(p: Recorder, h: Map2D, groups: number): Map2D {
    this.block.forEach((block, b) => {
      h = block.forward(p, h, groups);
      if (this.attn[b]) h = this.attn[b].forward(p, h, groups);
    });
    if (this.downsample) return conv2d(p, h, this.downsample, { stride: 2 });
    return this.upsample ? conv2d(p, h, this.upsample, { upsample: 2 }) : h;
  }
}

class Middle {
  private readonly block_1: ResnetBlock;
  private readonly attn_1: AttnBlock;
  private readonly block_2: ResnetBlock;

  constructor(w: Weights, prefix: string, channels: number) {
    this.block_1 = new ResnetBlock(w, `${prefix}.block_1`, channels, channels);
    this.attn_1 = new AttnBlock(w, `${prefix}.attn_1`, channels);
    this.block_2 = new ResnetBlock(w, `${prefix}.block_2`, channels, channels);
  }

  forward(p: Recorder, h: Map2D, groups: number): Map2D {
    return this.block_2.forward(p, this.attn_1.forward(p, this.block_1.forward(p, h, groups), groups), groups);
  }
}

/** x + conv2(silu(norm2(conv1(silu(norm1(x)))))), x through a 1×1 convolution where the width changes. */
class ResnetBlock {
  private readonly norm1: Affine;
  private readonly conv1: Conv;
  private readonly norm2: Affine;
  private readonly conv2: Conv;
  private readonly nin_shortcut?: Linear;

  constructor(w: Weights, prefix: string, in_channels: number, channels: number) {
    this.norm1 = w.affine(`${prefix}.norm1`, in_channels);
    this.conv1 = w.conv(`${prefix}.conv1`, in_channels, channels);
    this.norm2 = w.affine(`${prefix}.norm2`, channels);
    this.conv2 = w.conv(`${prefix}.conv2`, channels, channels);
    if (in_channels !== channels)
      this.nin_shortcut = w.linear(`${prefix}.nin_shortcut`, in_channels, channels, { conv1x1: true });
  }

  forward(p: Recorder, h: Map2D, groups: number): Map2D {
    const residual = this.nin_shortcut ? linear(p, h.x, this.nin_shortcut) : h.x;
    const inner = conv2d(p, { ...h, x: groupNorm(p, h.x, this.norm1, groups, eps, 'silu') }, this.conv1);
    return conv2d(p, { ...inner, x: groupNorm(p, inner.x, this.norm2, groups, eps, 'silu') }, this.conv2, { residual });
  }
}

/** x + proj_out(attention(norm(x))), one head as wide as the channels. */
class AttnBlock {
  private readonly norm: Affine;
  private readonly qkv: Linear;
  private readonly proj_out: Linear;

  constructor(
    w: Weights,
    prefix: string,
    private readonly channels: number,
  ) {
    const heads = { heads: 1, dim: channels };
    this.norm = w.affine(`${prefix}.norm`, channels);
    this.qkv = w.stacked(
      ['q', 'k', 'v'].map((n) => ({ prefix: `${prefix}.${n}`, outFeatures: channels, heads })),
      channels,
      { bias: true, conv1x1: true },
    );
    this.proj_out = w.stacked([{ prefix: `${prefix}.proj_out`, outFeatures: channels }], channels, {
      bias: true,
      conv1x1: true,
      inHeads: heads,
    });
  }

  forward(p: Recorder, h: Map2D, groups: number): Map2D {
    const qkv = linear(p, groupNorm(p, h.x, this.norm, groups, eps), this.qkv);
    return { ...h, x: linear(p, selfAttention(p, qkv, 1, this.channels), this.proj_out, { residual: h.x }) };
  }
}
