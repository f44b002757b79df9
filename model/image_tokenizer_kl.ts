import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import { scale } from '../shaders/scale.ts';
import type { KLConfig } from './config.ts';
import { Autoencoder, type Encoded, type ImageTokenizer } from './image_tokenizer.ts';
import type { Weights } from './weights.ts';

/** KL-16 (spec section 2): tokens are the posterior's mean times the scaling factor. */
export class KLTokenizer implements ImageTokenizer {
  private readonly autoencoder: Autoencoder;
  private readonly quant_conv: Linear;
  private readonly post_quant_conv: Linear;

  constructor(
    w: Weights,
    private readonly config: KLConfig,
  ) {
    const { z_channels, embed_dim } = config;
    this.autoencoder = new Autoencoder(w, config, 2 * z_channels);
    // The mean alone is used: the rows of quant_conv that give the variance stay in the file.
    this.quant_conv = w.linear('image_tokenizer.quant_conv', 2 * z_channels, 2 * embed_dim, {
      conv1x1: true,
      takeRows: embed_dim,
    });
    this.post_quant_conv = w.linear('image_tokenizer.post_quant_conv', embed_dim, z_channels, { conv1x1: true });
  }

  encode(p: Recorder, pixels: Tensor): Encoded {
    const moments = this.autoencoder.encode(p, pixels);
    return { tokens: scale(p, linear(p, moments, this.quant_conv, { type: 'f32' }), this.config.scaling_factor) };
  }

  decode(p: Recorder, tokens: Tensor): Tensor {
    const latent = scale(p, tokens, 1 / this.config.scaling_factor);
    return this.autoencoder.decode(p, linear(p, latent, this.post_quant_conv, { type: this.autoencoder.activations }));
  }
}
