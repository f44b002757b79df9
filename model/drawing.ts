import { checkCancelled, MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { advance } from '../shaders/advance.ts';
import { gatherRows, repeatRows } from '../shaders/gather_rows.ts';
import { normalNoise } from '../shaders/normal_noise.ts';
import { placeRows } from '../shaders/place_rows.ts';
import { noiseStream, seedWords, stepNoiseStream } from '../shaders/random.ts';
import { samplerStep } from '../shaders/sampler_step.ts';
import type { Parts } from './parts.ts';
import type { Context } from './qwen2.ts';
import { chosenTimes, guidanceAt, hiddenAfter, samplerCoefficients } from './sampler.ts';

export interface DrawingSettings {
  /** Iterations of the masked AR, K. */
  iterations: number;
  /** Diffusion steps of each token. */
  steps: number;
  /** Guidance ω; 1: none. */
  cfg: number;
  cfg_schedule: 'constant' | 'linear';
  /** 0 DDIM, 1 DDPM. */
  eta: number;
  /** Multiplies the noise. */
  temperature: number;
}

export interface DrawingInput {
  /** Ids before the image, image start not included. */
  before: readonly number[];
  /** The same with an empty prompt. */
  uncond: readonly number[];
  /** A permutation of the image's positions, in the order in which they are drawn. */
  order: Uint32Array<ArrayBuffer>;
  /** A seed, or the noise itself: f32 [L, d] (the first x, the temperature in it already) and, for eta over 0, [steps, L, d]. */
  noise: { seed: number } | { noise: ArrayLike<number>; stepNoise?: ArrayLike<number> };
}

/** What an iteration did: the tokens are on the device, in `Drawing.tokens`. */
export interface DrawingStep {
  iteration: number;
  iterations: number;
  /** Positions (raster order) that this iteration drew. */
  drawn: Uint32Array;
  /** Tokens known now, of all. */
  known: number;
  total: number;
  /** ω of this iteration. */
  guidance: number;
}

/** Programs of which as many are kept. */
const mostRecent = 16;

/** Rows that one adaLN matmul should have: enough to use the device well, few enough to take little memory. */
const modulationRows = 96;

/** The tensors and programs of a number of tokens that are drawn at once. */
interface Group {
  chosen: Tensor;
  begin: Program;
  /** Sampler steps, recorded some at a time, in the order in which they run. */
  chunks: Program[];
  end: Program;
}

/**
 * The masked-AR loop (spec section 6) for one batch shape: programs are recorded once and serve every picture whose text
 * fits `capacity`. Both branches of the guidance run in one batch.
 */
export class Drawing {
  /** f32 [L, d]: the tokens drawn so far. */
  readonly tokens: Tensor;
  private readonly context: Context;
  private readonly mask: Tensor;
  private readonly positions: Tensor;
  private readonly hidden: Tensor;
  private readonly noise: Tensor;
  private readonly stepNoise: Tensor;
  private readonly times: Tensor;
  private readonly tables: { coefficients: Tensor; step: Tensor; guidance: Tensor };
  private readonly seed: Tensor;
  private readonly workspace: Workspace;
  /** Programs by length of text and by temperature: there is no end of them. */
  private readonly recent: Workspace;
  private readonly groups = new Map<number, Promise<Group>>();
  private tableKey = '';

  constructor(
    private readonly device: Device,
    private readonly parts: Parts,
    readonly branches: 1 | 2,
    readonly capacity: number,
    readonly steps: number,
    readonly noisy: boolean,
  ) {
    const { config, llm, diffusion, activations } = parts,
      L = config.image_tokens,
      d = config.image_tokenizer.embed_dim;
    this.workspace = new Workspace(device, 4 * parts.config.image_tokens); // of groups, which have so many sizes
    this.recent = new Workspace(device, mostRecent);
    const make = this.workspace.tensor.bind(this.workspace);
    this.context = llm.context(this.workspace, branches, capacity);
    this.tokens = make('tokens', 'f32', [L, d]);
    this.mask = make('mask', 'u32', [L]);
    this.positions = make('positions', 'u32', [L]);
    this.hidden = make('hidden', activations, [branches * L, config.llm.hidden_size]);
    this.noise = make('noise', 'f32', [L, d]);
    this.stepNoise = make('step noise', 'f32', noisy ? [steps * L, d] : [steps, d]);
    this.times = make('times', activations, [steps, diffusion.width]);
    this.tables = {
      coefficients: make('coefficients', 'f32', [steps, 4]),
      step: make('step', 'u32', [1]),
      guidance: make('guidance', 'f32', [1]),
    };
    this.seed = make('seed', 'u32', [2]);
    this.write(
      this.positions,
      Uint32Array.from({ length: L }, (_, i) => i),
    );
  }

  /** Draws one picture's tokens, an iteration at a time. */
  async *run(input: DrawingInput, settings: DrawingSettings, signal?: AbortSignal): AsyncGenerator<DrawingStep> {
    checkCancelled(signal);
    const { device } = this,
      { image_tokens: L } = this.parts.config;
    const hidden = hiddenAfter(L, settings.iterations);
    await this.begin(input, settings, signal);
    for (let k = 0, now = L; k < settings.iterations; k++) {
      const drawn = input.order.slice(L - now, L - hidden[k]),
        known = L - hidden[k],
        guidance = guidanceAt(settings.cfg, settings.cfg_schedule, known, L);
      now = hidden[k];
      if (!drawn.length) continue; // more iterations than tokens
      const image = await this.program('image', (p) => this.imagePass(p)),
        group = await this.group(drawn.length);
      this.write(group.chosen, drawn);
      this.write(this.tables.guidance, [guidance]);
      this.write(this.tables.step, [0]);
      for (const program of [image, group.begin, ...group.chunks, group.end]) await device.queue.run(program, signal);
      await device.queue.pace(signal);
      yield { iteration: k + 1, iterations: settings.iterations, drawn, known, total: L, guidance };
    }
    await device.queue.idle(signal);
  }

  /** Text prefill, noise and tables: all that comes before the first iteration. */
  private async begin(
    { before, uncond, noise, order }: DrawingInput,
    { eta, temperature }: DrawingSettings,
    signal?: AbortSignal,
  ): Promise<void> {
    const { device, context, parts, steps } = this,
      { config, llm } = parts,
      L = config.image_tokens,
      d = config.image_tokenizer.embed_dim;
    if (order.length !== L || new Set(order).size !== L || order.some((i) => i >= L))
      throw new MMARError('usage', `order is no permutation of the ${L} image tokens`);
    this.write(this.mask, new Uint32Array(L).fill(1));
    this.write(this.tokens, new Float32Array(L * d));
    const ids = new Uint32Array(this.branches * this.capacity);
    for (const [b, text] of [before, uncond].slice(0, this.branches).entries())
      ids.set([...text, llm.image_start], b * this.capacity);
    this.write(context.ids, ids);
    this.write(context.position, new Uint32Array(this.branches));

    if (this.tableKey !== `${eta} ${temperature}`) {
      this.write(
        this.tables.coefficients,
        samplerCoefficients(config.diffusion.prediction, config.diffusion.timesteps, steps, eta, temperature),
      );
      this.tableKey = `${eta} ${temperature}`;
      const t = device.tensor('t', 'u32', [steps]);
      this.write(t, chosenTimes(config.diffusion.timesteps, steps).reverse());
      const program = await device.record('time_embed', (p) => {
        p.part('Diffusion MLP');
        parts.diffusion.times(p, t, this.times);
      });
      await device.queue.run(program);
      await device.queue.idle();
      program.destroy();
      device.release(t);
    }
    if ('seed' in noise) {
      this.write(this.seed, seedWords(noise.seed));
      const program = await this.recent.program(`noise ${temperature}`, (p) => {
        p.part('Diffusion MLP');
        normalNoise(p, this.seed, noiseStream, this.noise, temperature);
        if (this.noisy) normalNoise(p, this.seed, stepNoiseStream, this.stepNoise);
      });
      await device.queue.run(program, signal);
    } else {
      this.write(this.noise, noise.noise);
      if (this.noisy) this.write(this.stepNoise, noise.stepNoise ?? []);
    }
    for (const [b, text] of [before, uncond].slice(0, this.branches).entries()) {
      const branch = { ...context, branches: 1, first: b };
      for (const count of llm.passes(device, text.length + 1)) {
        const program = await this.recent.program(`text ${b} ${count}`, (p) => {
          p.part('text prefill');
          llm.forward(p, llm.embedTokens(p, branch, count), branch, 'text');
          advance(p, context.position, count, b);
        });
        await device.queue.run(program, signal);
      }
    }
  }

  /** What is known so far, through EmbeddingViT and LLM: a z for every position of both branches. */
  private imagePass(p: Recorder): void {
    const { vit, llm, config } = this.parts;
    p.part('EmbeddingViT');
    const visual = vit.forward(p, this.tokens, this.mask);
    p.part('LLM');
    let x = visual;
    if (this.branches === 2) {
      x = p.tensor('visual', visual.type, [2 * config.image_tokens, visual.cols]);
      repeatRows(p, visual, this.positions, 2, x);
    }
    llm.forward(p, x, this.context, 'image', this.hidden);
  }

  /** The sampler for m tokens at once. */
  private group(m: number): Promise<Group> {
    const group = this.groups.get(m) ?? this.recordGroup(m);
    this.groups.set(m, group);
    group.catch(() => this.groups.delete(m)); // tried again next time
    return group;
  }

  private async recordGroup(m: number): Promise<Group> {
    const { branches, steps, hidden, noise, times, tables } = this,
      { config, diffusion, activations } = this.parts,
      rows = branches * m;
    const make = this.workspace.tensor.bind(this.workspace);
    const chosen = make('chosen', 'u32', [m]),
      x = make('x', 'f32', [rows, config.image_tokenizer.embed_dim]),
      condition = make('condition', activations, [rows, diffusion.width]);
    const begin = this.record(`begin ${m}`, (p) => {
      diffusion.condition(p, gatherRows(p, hidden, chosen, branches), condition);
      repeatRows(p, noise, chosen, branches, x);
    });
    const atOnce = Math.max(1, Math.min(steps, Math.ceil(modulationRows / rows)));
    const chunk = (count: number) =>
      this.record(`sample ${m} × ${count}`, (p) => {
        const modulation = diffusion.modulation(p, condition, times, tables.step, count);
        for (let s = 0; s < count; s++)
          samplerStep(
            p,
            x,
            diffusion.forward(p, x, modulation, s),
            { ...tables, stepNoise: this.stepNoise, chosen },
            branches,
            s,
          );
        advance(p, tables.step, count);
      });
    const whole = Math.floor(steps / atOnce),
      rest = steps % atOnce;
    const chunks = [...Array(whole).fill(await chunk(atOnce)), ...(rest ? [await chunk(rest)] : [])];
    const end = this.record(`end ${m}`, (p) => placeRows(p, x, chosen, this.tokens, this.mask));
    return { chosen, begin: await begin, chunks, end: await end };
  }

  private record(key: string, record: (p: Recorder) => void): Promise<Program> {
    return this.program(key, (p) => {
      p.part('Diffusion MLP');
      record(p);
    });
  }

  private program(key: string, record: (p: Recorder) => void): Promise<Program> {
    return this.workspace.program(key, record);
  }

  private write(tensor: Tensor, values: ArrayLike<number>): void {
    this.workspace.write(tensor, values);
  }

  /** Gives all memory back; the drawing cannot be used any more. */
  release(): Promise<void> {
    return this.recent.release().then(() => this.workspace.release());
  }
}
