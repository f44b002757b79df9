import type { Program, Recorder } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { Workspace } from '../../engine/workspace.ts';
import { advance } from '../../shaders/advance.ts';
import type { HeadWeights } from '../../shaders/denoise.ts';
import { repeatRows } from '../../shaders/gather_rows.ts';
import { placeRows } from '../../shaders/place_rows.ts';
import type { DiffusionMLP } from '../diffusion_mlp.ts';
import { DiffusionTables } from '../diffusion_tables.ts';
import type { PictureInput } from '../drawing.ts';
import type { Canvas, HeadStep, TokenHead } from '../masked_ar.ts';
import { Recent } from '../recent.ts';
import { stepsAt } from '../sampler.ts';
import { type DrawingSettings, stepRange } from '../settings.ts';

/**
 * Rows that one adaLN matmul should have: enough to use the device well, few enough to take little memory; of a head so small
 * that one kernel does all steps, enough for all of them.
 */
const modulationRows = { layers: 96, together: 640 };

/** Numbers of tokens drawn at once whose tensors and programs are kept. */
const mostGroups = 12;

/** The tensors and programs of a number of tokens that are drawn at once. */
interface Group {
  workspace: Workspace;
  chosen: Tensor;
  begin: Program;
  /** So many sampler steps, all in one program. */
  steps: (count: number) => Promise<Program>;
  /** The most of them that one program holds. */
  atOnce: number;
  end: Program;
}

/** Draws continuous tokens: the Diffusion MLP denoises each from its z (spec sections 4 and 5). */
export class DiffusionHead implements TokenHead {
  private readonly workspace: Workspace;
  private readonly tables: DiffusionTables;
  private readonly times: Tensor;
  private readonly together: HeadWeights | undefined;
  private readonly groups = new Recent<Group>(mostGroups, async ({ workspace }) => {
    this.canvas.device.queue.submit(); // its programs may have been run, but not sent
    await workspace.release();
  });
  private settings!: DrawingSettings;

  /**
   * @param steps the most diffusion steps of one token
   * @param noisy whether steps add noise, eta over 0
   */
  constructor(
    private readonly canvas: Canvas,
    private readonly mlp: DiffusionMLP,
    private readonly steps: number,
    noisy: boolean,
  ) {
    const { device, activations } = canvas;
    this.workspace = new Workspace(device);
    this.tables = new DiffusionTables(this.workspace, mlp.process, canvas.tokens, canvas.pictures, steps, noisy);
    this.times = this.workspace.tensor('times', activations, [steps, mlp.width]);
    this.together = mlp.together(this.workspace, noisy);
  }

  serves(settings: DrawingSettings): boolean {
    return this.tables.serves(settings);
  }

  async begin(pictures: readonly PictureInput[], settings: DrawingSettings, signal?: AbortSignal): Promise<void> {
    this.settings = settings;
    if (this.together) this.mlp.gather(this.canvas.device, this.together);
    await this.tables.begin(
      pictures.map(({ chance }) => chance),
      settings,
      signal,
    );
  }

  async expect(count: number, { known, total }: Pick<HeadStep, 'known' | 'total'>): Promise<void> {
    const group = await this.group(count),
      left = this.stepsOf(known, total) % group.atOnce;
    if (left) await group.steps(left);
  }

  private group(count: number): Promise<Group> {
    return this.groups.get(String(count), () => this.record(count));
  }

  private stepsOf(known: number, total: number): number {
    const { first, last } = stepRange(this.settings.steps)!;
    return stepsAt(first, last, known, total);
  }

  async draw({ chosen, guidance, known, total }: HeadStep, signal?: AbortSignal): Promise<void> {
    const { device } = this.canvas;
    const steps = this.stepsOf(known, total);
    const group = await this.group(chosen.length);
    group.workspace.write(group.chosen, chosen);
    if (this.tables.prepare(steps, guidance)) await device.queue.run(await this.timeProgram(), signal);
    await device.queue.run(group.begin, signal);
    for (let done = 0; done < steps; done += group.atOnce)
      await device.queue.run(await group.steps(Math.min(group.atOnce, steps - done)), signal);
    await device.queue.run(group.end, signal);
  }

  /** time_embed of every step's time. */
  private timeProgram(): Promise<Program> {
    return this.workspace.program('time_embed', (p) => {
      p.part('Diffusion MLP');
      this.mlp.times(p, this.tables.t, this.times);
    });
  }

  /** What drawing m tokens at once, of all pictures together, takes. */
  private async record(m: number): Promise<Group> {
    const { canvas, mlp, tables, times, together } = this;
    const { device, branches, activations, hidden, tokens, mask } = canvas;
    const rows = branches * m;
    const workspace = new Workspace(device);
    const chosen = workspace.tensor('chosen', 'u32', [m]);
    const x = workspace.tensor('x', 'f32', [rows, tokens.cols]);
    const condition = workspace.tensor('condition', activations, [rows, mlp.width]);
    const program = (key: string, record: (p: Recorder) => void) =>
      workspace.program(`${key} ${m}`, (p) => {
        p.part('Diffusion MLP');
        record(p);
      });
    const begin = program('begin', (p) => {
      const z = hidden(p, chosen);
      p.part('Diffusion MLP');
      mlp.condition(p, z, condition);
      repeatRows(p, tables.noise, chosen, branches, x);
    });
    const steps = (count: number) =>
      program(`sample ${count} ×`, (p) => {
        const modulation = mlp.modulation(p, condition, times, tables.step, count);
        mlp.denoise(p, x, modulation, { ...tables.of(), chosen }, branches, count, together);
        advance(p, tables.step, count);
      });
    const end = program('end', (p) => placeRows(p, x, chosen, tokens, mask));
    const most = together ? modulationRows.together : modulationRows.layers,
      atOnce = Math.max(1, Math.min(this.steps, Math.ceil(most / rows)));
    try {
      await steps(atOnce);
      return { workspace, chosen, begin: await begin, steps, atOnce, end: await end };
    } catch (error) {
      await Promise.allSettled([begin, end]);
      await workspace.release();
      throw error;
    }
  }

  forget(): void {
    this.tables.forget();
  }

  async release(): Promise<void> {
    await this.groups.clear();
    await this.workspace.release();
  }
}
