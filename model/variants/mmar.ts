import type { Device } from '../../engine/device.ts';
import type { Recorder } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import type { MMARConfig } from '../config.ts';
import { DiffusionMLP } from '../diffusion_mlp.ts';
import type { Drawing, DrawingShape } from '../drawing.ts';
import { EmbeddingViT } from '../embedding_vit.ts';
import { DiffusionHead } from '../heads/diffusion.ts';
import { KLTokenizer } from '../image_tokenizer_kl.ts';
import { MaskedAR } from '../masked_ar.ts';
import { Qwen2 } from '../qwen2.ts';
import { type DrawingSettings, iterationsFor, mostSteps, settingsOf } from '../settings.ts';
import type { System } from '../system.ts';
import * as traces from '../trace_parts.ts';
import type { Activations, Weights } from '../weights.ts';

/** The parts of it that can be run alone. */
export const mmarTraces = {
  ...traces.common,
  ...traces.masked,
  diffusion: traces.diffusion,
  sample: traces.sample,
  generate: traces.generate,
};

/** MMAR: masked auto-regression over continuous tokens, each drawn by a Diffusion MLP. */
export class MMARSystem implements System {
  readonly activations: Activations;
  readonly imageShape: readonly [number, number];
  readonly image_tokenizer: KLTokenizer;
  readonly vit: EmbeddingViT;
  readonly llm: Qwen2;
  readonly diffusion: DiffusionMLP;
  readonly plora = 'merged';
  readonly settings;
  readonly traces = mmarTraces;

  constructor(
    readonly weights: Weights,
    readonly config: MMARConfig,
  ) {
    this.activations = weights.activations;
    this.imageShape = [config.image_tokens, config.image_tokenizer.embed_dim];
    this.settings = settingsOf(['iterations', 'steps', 'cfg', 'cfg_schedule', 'eta', 'temperature'], {
      iterations: iterationsFor(config.image_tokens),
      steps: { most: config.diffusion.timesteps },
    });
    this.image_tokenizer = new KLTokenizer(weights, config.image_tokenizer);
    this.vit = new EmbeddingViT(weights, config);
    this.llm = new Qwen2(weights, config.llm, 'llm.', config.plora);
    this.diffusion = new DiffusionMLP(weights, config);
  }

  embed(p: Recorder, tokens: Tensor, mask: Tensor): Tensor {
    p.part('EmbeddingViT');
    return this.vit.forward(p, tokens, mask);
  }

  makeDrawing = (device: Device, shape: DrawingShape, { steps, eta }: DrawingSettings): Drawing =>
    new MaskedAR(device, this, shape, (canvas) => new DiffusionHead(canvas, this.diffusion, mostSteps(steps), eta > 0));
}
