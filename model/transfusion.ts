import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { embedTokens, repeatRows } from '../shaders/gather_rows.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import type { TransfusionConfig } from './config.ts';
import type { Activations, Weights } from './weights.ts';

/** Noisy tokens into the LLM and its prediction out of it (spec section 7, Transfusion). */
export class TransfusionProjections {
  private readonly activations: Activations;
  private readonly input_proj: Linear;
  private readonly time_embed: Tensor;
  private readonly output_proj: Linear;

  constructor(w: Weights, { llm, image_tokenizer, diffusion }: TransfusionConfig) {
    const H = llm.hidden_size;
    const d = image_tokenizer.embed_dim;
    this.activations = w.activations;
    this.input_proj = w.linear('transfusion.input_proj', d, H);
    this.time_embed = w.tensor('transfusion.time_embed.weight', [diffusion.timesteps, H]);
    this.output_proj = w.linear('transfusion.output_proj', H, d);
  }

  /**
   * What the LLM reads in an image's place: input_proj(x) + time_embed[t].
   * @param x f32 [rows, d]
   * @param t u32 [steps], the time of each step
   * @param step u32 [1], which of them, read on the device
   * @returns [rows, H]
   */
  embed(p: Recorder, x: Tensor, t: Tensor, step: Tensor): Tensor {
    const steps = { branches: 1, capacity: t.cols, ids: t, position: step };
    const time = embedTokens(p, [this.time_embed], steps, 1, this.activations);
    const everywhere = p.tensor('time everywhere', this.activations, [x.rows, time.cols]);
    repeatRows(p, time, first(p), x.rows, everywhere);
    return linear(p, x, this.input_proj, { residual: everywhere });
  }

  /** The same for clean tokens, t = 0. */
  embedClean(p: Recorder, x: Tensor): Tensor {
    return this.embed(p, x, first(p), first(p));
  }

  /**
   * @param hidden [rows, H], after the final norm
   * @returns the model's output u, f32 [rows, d]
   */
  output(p: Recorder, hidden: Tensor): Tensor {
    return linear(p, hidden, this.output_proj, { type: 'f32' });
  }
}

/** The number of a first row, of a first step, of the time of clean tokens. */
const first = (p: Recorder): Tensor => p.constant('first', 'u32', [1], [0]);
