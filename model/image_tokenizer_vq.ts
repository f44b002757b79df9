import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { repeatRows } from '../shaders/gather_rows.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import { nearestCode } from '../shaders/nearest_code.ts';
import { scale } from '../shaders/scale.ts';
import type { CodebookConfig } from './config.ts';
import { Autoencoder, type Encoded, type ImageTokenizer } from './image_tokenizer.ts';
import type { Weights } from './weights.ts';

/** VQ-16 (spec section 7): tokens are the rows of a codebook nearest to the latent's pixels. */
export class VQTokenizer implements ImageTokenizer {
  /** [codes, d] */
  readonly codebook: Tensor;
  private readonly autoencoder: Autoencoder;
  private readonly quant_conv: Linear;
  private readonly post_quant_conv: Linear;

  constructor(
    w: Weights,
    private readonly config: CodebookConfig,
  ) {
    const { z_channels, embed_dim, codebook_size } = config;
    this.autoencoder = new Autoencoder(w, config, z_channels);
    this.quant_conv = w.linear('image_tokenizer.quant_conv', z_channels, embed_dim, { conv1x1: true });
    this.post_quant_conv = w.linear('image_tokenizer.post_quant_conv', embed_dim, z_channels, { conv1x1: true });
    this.codebook = w.tensor('image_tokenizer.quantize.embedding.weight', [codebook_size, embed_dim]);
  }

  encode(p: Recorder, pixels: Tensor): Encoded {
    const latent = linear(p, this.autoencoder.encode(p, pixels), this.quant_conv, { type: 'f32' });
    const codes = nearestCode(p, latent, this.codebook);
    const tokens = p.tensor('tokens', 'f32', latent.shape);
    repeatRows(p, this.codebook, codes, 1, tokens);
    return { tokens, codes };
  }

  decode(p: Recorder, tokens: Tensor): Tensor {
    const { scaling_factor } = this.config;
    const latent = scaling_factor === 1 ? tokens : scale(p, tokens, 1 / scaling_factor);
    return this.autoencoder.decode(p, linear(p, latent, this.post_quant_conv, { type: this.autoencoder.activations }));
  }
}
