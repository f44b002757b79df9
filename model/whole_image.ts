import { checkCancelled } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { advance } from '../shaders/advance.ts';
import { repeatRows } from '../shaders/gather_rows.ts';
import { samplerStep } from '../shaders/sampler_step.ts';
import type { DiffusionProcess } from './config.ts';
import { DiffusionTables } from './diffusion_tables.ts';
import type { Drawing, DrawingInput, DrawingShape, DrawingStep } from './drawing.ts';
import type { Qwen2 } from './qwen2.ts';
import { Sequence } from './sequence.ts';
import { type DrawingSettings, mostSteps } from './settings.ts';
import type { TransfusionProjections } from './transfusion.ts';

/** The parts that denoise a whole image. */
export interface DenoisingParts {
  llm: Qwen2;
  projections: TransfusionProjections;
  process: DiffusionProcess;
  /** L and d. */
  imageShape: readonly [number, number];
}

/**
 * Transfusion's drawing (spec section 7): the LLM denoises all tokens at once, step by step; the text before them is read
 * once. Rows are branches × pictures, the conditional branch first.
 */
export class WholeImageDrawing implements Drawing {
  readonly tokens: Tensor;
  private readonly workspace: Workspace;
  private readonly sequence: Sequence;
  private readonly tables: DiffusionTables;
  private readonly x: Tensor;
  private readonly everywhere: Tensor;

  constructor(
    private readonly device: Device,
    private readonly parts: DenoisingParts,
    readonly shape: DrawingShape,
    { steps, eta }: DrawingSettings,
  ) {
    const { pictures, branches, capacity } = shape;
    const [L, d] = parts.imageShape;
    this.workspace = new Workspace(device);
    const make = this.workspace.tensor.bind(this.workspace);
    this.sequence = new Sequence(device, parts.llm, capacity, { groups: branches, copies: pictures });
    this.tokens = make('tokens', 'f32', [pictures * L, d]);
    this.x = make('x', 'f32', [branches * pictures * L, d]);
    this.everywhere = make('positions', 'u32', [pictures * L]);
    this.tables = new DiffusionTables(this.workspace, parts.process, this.tokens, pictures, mostSteps(steps), eta > 0);
    this.workspace.write(
      this.everywhere,
      Uint32Array.from({ length: pictures * L }, (_, i) => i),
    );
  }

  serves(settings: DrawingSettings): boolean {
    return this.tables.serves(settings);
  }

  async *run(input: DrawingInput, settings: DrawingSettings, signal?: AbortSignal): AsyncGenerator<DrawingStep> {
    const { device } = this;
    const [L] = this.parts.imageShape;
    const steps = mostSteps(settings.steps);
    const everywhere = Uint32Array.from({ length: L }, (_, i) => i);
    await this.begin(input, settings, signal);
    for (let step = 1; step <= steps; step++) {
      const last = step === steps;
      await device.queue.run(await this.stepProgram(), signal);
      await device.queue.pace(signal);
      yield {
        iteration: step,
        iterations: steps,
        drawn: input.pictures.map(() => (last ? everywhere : new Uint32Array())),
        known: last ? L : 0,
        total: L,
        guidance: settings.cfg,
      };
    }
    await device.queue.idle(signal);
  }

  /** The model's output u for noisy tokens at one time, f32 [L, d]: what one step of one branch computes. */
  async denoise(
    before: readonly number[],
    tokens: ArrayLike<number>,
    t: number,
    signal?: AbortSignal,
  ): Promise<Float32Array<ArrayBuffer>> {
    await this.read([before], signal);
    this.workspace.write(this.x, tokens);
    this.workspace.write(this.tables.t, [t]);
    this.workspace.write(this.tables.step, [0]);
    const { out } = await this.device.evaluate('denoise', (p) => ({ out: this.predict(p) }), signal);
    return out;
  }

  private async begin(
    { before, uncond, pictures }: DrawingInput,
    settings: DrawingSettings,
    signal?: AbortSignal,
  ): Promise<void> {
    checkCancelled(signal);
    const { device, workspace, tables } = this;
    await tables.begin(
      pictures.map(({ chance }) => chance),
      settings,
      signal,
    );
    tables.prepare(mostSteps(settings.steps), settings.cfg);
    const begin = await workspace.program('begin', (p) =>
      repeatRows(p, tables.noise, this.everywhere, this.shape.branches, this.x),
    );
    await device.queue.run(begin, signal);
    void this.stepProgram(); // compiled while the text is read
    await this.read([before, uncond].slice(0, this.shape.branches), signal);
  }

  private async read(texts: (readonly number[])[], signal?: AbortSignal): Promise<void> {
    const { image_start } = this.parts.llm;
    for (const [group, text] of texts.entries())
      await this.sequence.read([{ ids: [...text, image_start] }], { group, signal });
  }

  private stepProgram(): Promise<Program> {
    return this.workspace.program('step', (p) => this.step(p));
  }

  /** One sampler step of every row. */
  private step(p: Recorder): void {
    const { x, tables, everywhere } = this;
    const u = this.predict(p);
    p.part('sampler');
    samplerStep(p, x, u, { ...tables.of(), chosen: everywhere }, this.shape.branches, 0);
    repeatRows(p, x, everywhere, 1, this.tokens);
    advance(p, tables.step, 1);
  }

  private predict(p: Recorder): Tensor {
    const { llm, projections } = this.parts;
    p.part('LLM');
    const noisy = projections.embed(p, this.x, this.tables.t, this.tables.step);
    return projections.output(p, llm.forward(p, noisy, this.sequence.context, 'image'));
  }

  forget(): void {
    this.sequence.forget();
  }

  async release(): Promise<void> {
    this.device.queue.submit(); // programs may have been run, but not sent
    await this.sequence.release();
    await this.workspace.release();
  }
}
