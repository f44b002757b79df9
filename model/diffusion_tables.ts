import type { Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import { normalNoise } from '../shaders/normal_noise.ts';
import { noiseStream, seedWords, stepNoiseStream } from '../shaders/random.ts';
import type { DiffusionProcess } from './config.ts';
import { besideEachOther, type Chance, joined } from './drawing.ts';
import { chosenTimes, samplerCoefficients } from './sampler.ts';
import { type DrawingSettings, mostSteps } from './settings.ts';

/** What the sampler reads on the device: coefficients of each step, times, guidance, noise. */
export class DiffusionTables {
  /** f32 [pictures × L, d]: the first x, the temperature in it. */
  readonly noise: Tensor;
  /** u32 [steps]: the time of each step, in the order in which they run. */
  readonly t: Tensor;
  /** u32 [1]: the step that runs next. */
  readonly step: Tensor;
  private readonly coefficients: Tensor;
  private readonly guidance: Tensor;
  private readonly stepNoise?: Tensor;
  private readonly seeds: Tensor;
  private readonly temperature: Tensor;
  private settings!: DrawingSettings;
  private prepared = '';

  /**
   * @param tokens f32 [pictures × L, d], for its shape
   * @param steps the most of one token
   * @param noisy whether steps add noise
   */
  constructor(
    private readonly workspace: Workspace,
    private readonly process: DiffusionProcess,
    tokens: Tensor,
    private readonly pictures: number,
    private readonly steps: number,
    noisy: boolean,
  ) {
    const { rows, cols } = tokens;
    const make = workspace.tensor.bind(workspace);
    this.noise = make('noise', 'f32', [rows, cols]);
    if (noisy) this.stepNoise = make('step noise', 'f32', [steps * rows, cols]);
    this.coefficients = make('coefficients', 'f32', [steps, 4]);
    this.t = make('t', 'u32', [steps]);
    this.step = make('step', 'u32', [1]);
    this.guidance = make('guidance', 'f32', [1]);
    this.seeds = make('seeds', 'u32', [pictures, 2]);
    this.temperature = make('temperature', 'f32', [1]);
  }

  serves({ steps, eta }: DrawingSettings): boolean {
    return mostSteps(steps) === this.steps && eta > 0 === (this.stepNoise !== undefined);
  }

  /** The tables as `samplerStep` takes them. */
  of() {
    const { coefficients, step, guidance, stepNoise } = this;
    return { coefficients, step, guidance, stepNoise };
  }

  /** The noise of a batch. */
  async begin(chances: readonly Chance[], settings: DrawingSettings, signal?: AbortSignal): Promise<void> {
    const { workspace } = this;
    this.settings = settings;
    const seeds = chances.flatMap((chance) => ('seed' in chance ? [seedWords(chance.seed)] : []));
    if (seeds.length) {
      workspace.write(this.seeds, seeds.flat());
      workspace.write(this.temperature, [settings.temperature]);
      const program = await workspace.program('noise', (p) => {
        p.part('noise');
        const positions = this.noise.rows / this.pictures;
        normalNoise(p, this.seeds, noiseStream, this.noise, { positions, deviation: this.temperature });
        if (this.stepNoise) normalNoise(p, this.seeds, stepNoiseStream, this.stepNoise, { positions });
      });
      await workspace.device.queue.run(program, signal);
      return;
    }
    const given = chances as readonly Exclude<Chance, { seed: number }>[];
    workspace.write(this.noise, joined(given.map(({ noise }) => noise!)));
    if (this.stepNoise)
      workspace.write(
        this.stepNoise,
        besideEachOther(
          given.map(({ stepNoise }) => stepNoise!),
          this.steps,
        ),
      );
  }

  /** What was computed of the times is computed anew. */
  forget(): void {
    this.prepared = '';
  }

  /** Before tokens are drawn in so many steps. Says whether the times changed. */
  prepare(steps: number, guidance: number): boolean {
    const { workspace, process } = this;
    const { eta, temperature } = this.settings;
    workspace.write(this.guidance, [guidance]);
    workspace.write(this.step, [0]);
    const wanted = `${steps} ${eta} ${temperature}`;
    if (this.prepared === wanted) return false;
    this.prepared = wanted;
    const coefficients = new Float64Array(4 * this.steps);
    coefficients.set(samplerCoefficients(process.prediction, process.timesteps, steps, eta, temperature));
    workspace.write(this.coefficients, coefficients);
    const times = new Uint32Array(this.steps);
    times.set(chosenTimes(process.timesteps, steps).reverse());
    workspace.write(this.t, times);
    return true;
  }
}
