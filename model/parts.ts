import type { Checkpoint } from '../loaders/checkpoint.ts';
import type { MMARConfig } from './config.ts';
import { DiffusionMLP } from './diffusion_mlp.ts';
import { EmbeddingViT } from './embedding_vit.ts';
import { ImageTokenizer } from './image_tokenizer.ts';
import { Qwen2 } from './qwen2.ts';
import { type Activations, Weights } from './weights.ts';

/** The parts of an MMAR, which declare their weights when they are made. */
export class Parts {
  readonly activations: Activations;
  readonly image_tokenizer: ImageTokenizer;
  readonly vit: EmbeddingViT;
  readonly llm: Qwen2;
  readonly diffusion: DiffusionMLP;

  constructor(
    readonly weights: Weights,
    readonly config: MMARConfig,
  ) {
    this.activations = weights.activations;
    this.image_tokenizer = new ImageTokenizer(weights, config);
    this.vit = new EmbeddingViT(weights, config);
    this.llm = new Qwen2(weights, config.llm, 'llm.', config.plora);
    this.diffusion = new DiffusionMLP(weights, config);
  }
}

/** The parts of a model and the plan of their weights; nothing is loaded. */
export function planParts(
  checkpoint: Checkpoint,
  config: MMARConfig,
  precision: Activations,
  maxBinding = Infinity,
  learns = false,
): Parts {
  return new Parts(new Weights(weightType(checkpoint, precision, learns), precision, maxBinding), config);
}

/** A model run in f32 keeps wider weights as they are, and one that learns keeps all wide: f32 must not lose anything. */
export function weightType(checkpoint: Checkpoint, precision: Activations, learns = false): Activations {
  const wide = [...checkpoint.tensors.values()].some(({ entry }) => entry.dtype === 'F32' || entry.dtype === 'F16');
  return precision === 'f32' && (wide || learns) ? 'f32' : 'bf16';
}
