import type { Device } from '../../engine/device.ts';
import type { Recorder } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import type { VQConfig } from '../config.ts';
import type { Drawing, DrawingShape } from '../drawing.ts';
import { EmbeddingViT } from '../embedding_vit.ts';
import { CategoricalHead } from '../heads/categorical.ts';
import { ImageHead } from '../image_head.ts';
import { VQTokenizer } from '../image_tokenizer_vq.ts';
import { MaskedAR } from '../masked_ar.ts';
import { Qwen2 } from '../qwen2.ts';
import { iterationsFor, settingsOf } from '../settings.ts';
import type { System } from '../system.ts';
import * as traces from '../trace_parts.ts';
import type { Activations, Weights } from '../weights.ts';

/** The parts of it that can be run alone. */
export const vqTraces = {
  ...traces.common,
  ...traces.masked,
  image_logits: traces.imageLogits,
  generate: traces.generateCodes,
};

/** Ablation-VQ (spec section 7): masked auto-regression over the codes of a codebook. */
export class VQSystem implements System {
  readonly activations: Activations;
  readonly imageShape: readonly [number, number];
  readonly image_tokenizer: VQTokenizer;
  readonly vit: EmbeddingViT;
  readonly llm: Qwen2;
  readonly head: ImageHead;
  /** Codes are chosen: where two are close another rounding takes the other, and every later choice with it. */
  readonly plora = 'separate';
  readonly settings;
  readonly traces = vqTraces;

  constructor(
    readonly weights: Weights,
    readonly config: VQConfig,
  ) {
    this.activations = weights.activations;
    this.imageShape = [config.image_tokens, config.image_tokenizer.embed_dim];
    this.settings = settingsOf(['iterations', 'cfg', 'cfg_schedule', 'temperature'], {
      iterations: iterationsFor(config.image_tokens),
    });
    this.image_tokenizer = new VQTokenizer(weights, config.image_tokenizer);
    this.vit = new EmbeddingViT(weights, config);
    this.llm = new Qwen2(weights, config.llm, 'llm.', config.plora);
    this.head = new ImageHead(weights, config);
  }

  embed(p: Recorder, tokens: Tensor, mask: Tensor): Tensor {
    p.part('EmbeddingViT');
    return this.vit.forward(p, tokens, mask);
  }

  makeDrawing = (device: Device, shape: DrawingShape): Drawing =>
    new MaskedAR(
      device,
      this,
      shape,
      (canvas) => new CategoricalHead(canvas, this.head, this.image_tokenizer.codebook),
    );
}
