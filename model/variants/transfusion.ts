import type { Device } from '../../engine/device.ts';
import type { Recorder } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import type { DiffusionProcess, TransfusionConfig } from '../config.ts';
import type { DrawingShape } from '../drawing.ts';
import { KLTokenizer } from '../image_tokenizer_kl.ts';
import { Qwen2 } from '../qwen2.ts';
import { type DrawingSettings, settingsOf } from '../settings.ts';
import type { System } from '../system.ts';
import * as traces from '../trace_parts.ts';
import { TransfusionProjections } from '../transfusion.ts';
import type { Activations, Weights } from '../weights.ts';
import { WholeImageDrawing } from '../whole_image.ts';

/** The parts of it that can be run alone. */
export const transfusionTraces = { ...traces.common, denoise: traces.denoise, generate: traces.generate };

/** The Transfusion re-implementation (spec section 7): the LLM itself denoises all tokens of an image at once. */
export class TransfusionSystem implements System {
  readonly activations: Activations;
  readonly imageShape: readonly [number, number];
  readonly image_tokenizer: KLTokenizer;
  readonly llm: Qwen2;
  readonly projections: TransfusionProjections;
  readonly process: DiffusionProcess;
  readonly plora = 'merged';
  readonly settings;
  readonly traces = transfusionTraces;

  constructor(
    readonly weights: Weights,
    readonly config: TransfusionConfig,
  ) {
    this.activations = weights.activations;
    this.imageShape = [config.image_tokens, config.image_tokenizer.embed_dim];
    this.process = config.diffusion;
    this.settings = settingsOf(['steps', 'cfg', 'eta', 'temperature'], { steps: { most: config.diffusion.timesteps } });
    this.image_tokenizer = new KLTokenizer(weights, config.image_tokenizer);
    this.llm = new Qwen2(weights, config.llm, 'llm.', config.plora);
    this.projections = new TransfusionProjections(weights, config);
  }

  /** Nothing of an image is hidden here: it is clean. */
  embed(p: Recorder, tokens: Tensor): Tensor {
    p.part('LLM');
    return this.projections.embedClean(p, tokens);
  }

  makeDrawing = (device: Device, shape: DrawingShape, settings: DrawingSettings): WholeImageDrawing =>
    new WholeImageDrawing(device, this, shape, settings);
}
