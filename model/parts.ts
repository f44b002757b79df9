import type { Device } from '../engine/device.ts';
import type { Config } from './config.ts';
import { DiffusionMLP } from './diffusion_mlp.ts';
import { EmbeddingViT } from './embedding_vit.ts';
import { ImageTokenizer } from './image_tokenizer.ts';
import { Qwen2 } from './qwen2.ts';
import type { Activations, Weights } from './weights.ts';

/** The parts of an MMAR, which declare their weights when they are made. */
export class Parts {
  readonly activations: Activations;
  readonly image_tokenizer: ImageTokenizer;
  readonly vit: EmbeddingViT;
  readonly llm: Qwen2;
  readonly diffusion: DiffusionMLP;

  constructor(readonly weights: Weights, readonly config: Config) {
    this.activations = weights.activations;
    this.image_tokenizer = new ImageTokenizer(weights, config);
    this.vit = new EmbeddingViT(weights, config);
    this.llm = new Qwen2(weights, config.llm, 'llm.', config.plora);
    this.diffusion = new DiffusionMLP(weights, config);
  }

  /** Fills the tables that are computed and not loaded. */
  prepare(device: Device): void {
    this.llm.prepare(device);
    this.diffusion.prepare(device);
  }
}
