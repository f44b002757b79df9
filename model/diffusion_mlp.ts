import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { roundUp, type Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import { addSilu } from '../shaders/add_silu.ts';
import { canDenoise, denoise, type HeadWeights, headShapes } from '../shaders/denoise.ts';
import { denoiseStep } from '../shaders/denoise_step.ts';
import type { Affine, Modulation } from '../shaders/layer_norm.ts';
import { type Linear, linear } from '../shaders/linear.ts';
import type { Norm } from '../shaders/norm.ts';
import type { SamplerTables } from '../shaders/sampler_step.ts';
import { timeEmbedding } from '../shaders/time_embedding.ts';
import type { DiffusionProcess, MMARConfig } from './config.ts';
import type { Activations, Weights } from './weights.ts';

const eps = 1e-6;
const frequencies = 128;

const adaLN = (affine: Affine | undefined, modulation: Modulation): Norm => ({
  kind: 'layer',
  affine,
  eps,
  modulation,
});

/** The head that denoises one image token given its z, after MAR's (spec section 4). */
export class DiffusionMLP {
  readonly width: number;
  /** What it predicts, over how many times. */
  readonly process: DiffusionProcess;
  private readonly activations: Activations;
  private readonly time_embed: Linear[];
  private readonly cond_embed: Linear;
  private readonly input_proj: Linear;
  private readonly res_blocks: { in_ln: Affine; mlp0: Linear; mlp2: Linear }[] = [];
  /** Every block's adaLN_modulation, then the final layer's: they share their input. */
  private readonly adaln: Linear;
  private readonly linear: Linear;
  /** Of the time embedding. */
  private readonly frequency: Tensor;

  constructor(w: Weights, config: MMARConfig) {
    this.activations = w.activations;
    const { depth, width: D, mlp_ratio } = config.diffusion,
      d = config.image_tokenizer.embed_dim;
    this.width = D;
    this.process = config.diffusion;
    this.time_embed = [
      w.linear('diffusion.time_embed.mlp.0', 2 * frequencies, D),
      w.linear('diffusion.time_embed.mlp.2', D, D),
    ];
    this.cond_embed = w.linear('diffusion.cond_embed', config.llm.hidden_size, D);
    this.input_proj = w.linear('diffusion.input_proj', d, D);
    const blocks = Array.from({ length: depth }, (_, i) => `diffusion.res_blocks.${i}`);
    for (const prefix of blocks) {
      this.res_blocks.push({
        in_ln: w.affine(`${prefix}.in_ln`, D),
        mlp0: w.linear(`${prefix}.mlp.0`, D, mlp_ratio * D),
        mlp2: w.linear(`${prefix}.mlp.2`, mlp_ratio * D, D),
      });
    }
    this.adaln = w.stacked(
      [
        ...blocks.map((prefix) => ({
          prefix: `${prefix}.adaLN_modulation.1`,
          outFeatures: 3 * D,
          heads: { heads: 3, dim: D },
        })),
        { prefix: 'diffusion.final_layer.adaLN_modulation.1', outFeatures: 2 * D, heads: { heads: 2, dim: D } },
      ],
      D,
      { bias: true },
    );
    this.linear = w.linear('diffusion.final_layer.linear', D, d);
    const frequency = (k: number): number => Math.exp((-Math.log(10000) * k) / frequencies);
    this.frequency = w.table(
      'time frequencies',
      Float64Array.from({ length: frequencies }, (_, k) => frequency(k)),
    );
  }

  /** time_embed(t): [n, D] for t u32 [n]. */
  times(p: Recorder, t: Tensor, into?: Tensor): Tensor {
    const [mlp0, mlp2] = this.time_embed;
    return linear(p, linear(p, timeEmbedding(p, t, this.frequency, this.activations), mlp0, { act: 'silu' }), mlp2, {
      into,
    });
  }

  /** cond_embed(z): [rows, D]. */
  condition(p: Recorder, z: Tensor, into?: Tensor): Tensor {
    return linear(p, z, this.cond_embed, { into });
  }

  /**
   * Shift, scale and gate of every block for some steps in a row, all in one matmul: they do not depend on x.
   * @param condition [rows, D]
   * @param times [steps of the sampler, D]
   * @param first u32 [1]: the first step, read on the device
   * @returns [steps × rows, modulations]
   */
  modulation(p: Recorder, condition: Tensor, times: Tensor, first: Tensor, steps: number, stride: 0 | 1 = 0): Tensor {
    return linear(p, addSilu(p, condition, times, first, steps, stride), this.adaln, { name: 'adaLN_modulation' });
  }

  /**
   * The model's output u for noisy tokens.
   * @param x f32 [rows, d]
   * @param modulation what `modulation` gave; `step` says which of its steps
   * @returns u f32 [rows, d]
   */
  forward(p: Recorder, x: Tensor, modulation: Tensor, step: number): Tensor {
    const h = this.blocks(p, this.input(p, x), modulation, step);
    return linear(p, h, this.linear, {
      norm: adaLN(undefined, this.finalModulation(x.rows, modulation, step)),
      type: 'f32',
    });
  }

  /**
   * Some sampler steps in a row, in place: each moves x by the output for it.
   * @param x f32 [branches × rows, d]
   * @param modulation of these steps
   * @param together what `together` gave: they run as one kernel
   */
  denoise(
    p: Recorder,
    x: Tensor,
    modulation: Tensor,
    tables: SamplerTables,
    branches: number,
    steps: number,
    together?: HeadWeights,
  ): void {
    if (together) {
      denoise(p, x, modulation, together, tables, branches, steps);
      return;
    }
    const layers = { final: this.linear, input: this.input_proj, eps };
    let h = this.input(p, x);
    for (let step = 0; step < steps; step++) {
      const last = this.blocks(p, h, modulation, step),
        final = this.finalModulation(x.rows, modulation, step);
      h = denoiseStep(p, last, x, layers, final, tables, branches, step);
    }
  }

  /** Room for all weights side by side, where the device is best at denoising with one kernel; `gather` fills it. */
  together(workspace: Workspace, noisy: boolean): HeadWeights | undefined {
    const { device } = workspace,
      { weight } = this.linear,
      sizes = {
        blocks: this.res_blocks.length,
        width: this.width,
        inner: this.res_blocks[0]?.mlp0.weight.rows ?? 0,
        channels: weight.rows,
        eps,
      };
    if (this.activations !== 'bf16' || weight.type !== 'bf16' || !canDenoise(device, sizes, noisy)) return undefined;
    const { weights, vectors } = headShapes(sizes);
    return {
      ...sizes,
      weights: workspace.tensor('weights of the head', 'bf16', weights),
      vectors: workspace.tensor('vectors of the head', 'bf16', vectors),
    };
  }

  /** Copies the weights as they are now. */
  gather(device: Device, { weights, vectors }: HeadWeights): void {
    const outer = [this.linear, this.input_proj],
      of = (layers: Linear[]): Tensor[] => layers.map(({ weight }) => weight);
    device.join(of([...this.res_blocks.flatMap(({ mlp0, mlp2 }) => [mlp0, mlp2]), ...outer]), weights);
    const inside = this.res_blocks.flatMap(({ in_ln, mlp0, mlp2 }) => [
      in_ln.weight,
      in_ln.bias,
      mlp0.bias!,
      mlp2.bias!,
    ]);
    device.join([...inside, ...outer.map(({ bias }) => bias!)], vectors);
  }

  private input(p: Recorder, x: Tensor): Tensor {
    return linear(p, x, this.input_proj, { type: this.activations });
  }

  private blocks(p: Recorder, x: Tensor, modulation: Tensor, step: number): Tensor {
    const D = roundUp(this.width, 4),
      firstRow = step * x.rows;
    let h = x;
    this.res_blocks.forEach(({ in_ln, mlp0, mlp2 }, i) => {
      const shift = 3 * i * D;
      const norm = adaLN(in_ln, { tensor: modulation, firstRow, shift, scale: shift + D });
      const gate = { tensor: modulation, firstRow, first: shift + 2 * D },
        residual = h;
      h = p.block(() => linear(p, linear(p, residual, mlp0, { norm, act: 'silu' }), mlp2, { gate, residual }));
    });
    return h;
  }

  private finalModulation(rows: number, modulation: Tensor, step: number): Modulation {
    const D = roundUp(this.width, 4),
      shift = 3 * this.res_blocks.length * D;
    return { tensor: modulation, firstRow: step * rows, shift, scale: shift + D };
  }
}
