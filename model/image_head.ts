import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import type { VQConfig } from './config.ts';
import type { Weights } from './weights.ts';

/** The decoding linear of Ablation-VQ: logits of the codebook's codes (spec section 7). */
export class ImageHead {
  private readonly linear: Linear;

  constructor(w: Weights, { llm, image_tokenizer }: VQConfig) {
    this.linear = w.linear('image_head', llm.hidden_size, image_tokenizer.codebook_size);
  }

  /**
   * @param z [rows, H]
   * @returns f32 [rows, codebook size]
   */
  forward(p: Recorder, z: Tensor): Tensor {
    return linear(p, z, this.linear, { name: 'image_head', type: 'f32' });
  }
}
