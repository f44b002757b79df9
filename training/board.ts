import { checkCancelled, MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import { Tape } from '../engine/tape.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import type { MMARConfig } from '../model/config.ts';
import { DiffusionMLP } from '../model/diffusion_mlp.ts';
import { chosenTimes, samplerCoefficients } from '../model/sampler.ts';
import { Weights } from '../model/weights.ts';
import { add } from '../shaders/add.ts';
import { advance } from '../shaders/advance.ts';
import { board, type Quadrant, region } from '../shaders/chessboard.ts';
import { mse } from '../shaders/mse.ts';
import { normalNoise } from '../shaders/normal_noise.ts';
import { noiseStream, stepNoiseStream } from '../shaders/random.ts';
import { samplerStep } from '../shaders/sampler_step.ts';
import { zeros } from '../shaders/zeros.ts';
import { Optimiser } from './optimiser.ts';
import { Noising } from './passes.ts';
import { Draws } from './random.ts';

export interface BoardTraining {
  prediction: MMARConfig['diffusion']['prediction'];
  /** Of weights, activations and the output. */
  type: 'bf16' | 'f32';
  steps: number;
  batch: number;
  width: number;
  depth: number;
  lr: number;
  seed: number;
}

/** How points are drawn. */
export interface BoardSampler {
  /** Of the 1000. */
  steps: number;
  /** 0 DDIM, 1 DDPM. */
  eta: number;
  /** So many of the first steps, where there is most noise, are left out: drawing starts from noise at the next one's time. */
  skip: number;
}

interface Watch {
  onStep?: (done: number, loss?: number) => void;
  signal?: AbortSignal;
}

const timesteps = 1000;
const classes = 4;
const optimiser = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0, clip: 1, ema: 0.999 };
/** The loss is read back this often. */
const lossEvery = 100;
/** Rows that are drawn at once. */
const mostRows = 8192;

/** A Diffusion MLP that learns the chessboard of §6.8 from its points, a class a quadrant, and then draws points itself. */
export class TrainedBoard {
  private readonly weights: Weights;
  private readonly mlp: DiffusionMLP;
  private readonly workspace: Workspace;

  constructor(
    private readonly device: Device,
    private readonly settings: BoardTraining,
  ) {
    const { type, depth, width, prediction, seed } = settings;
    this.weights = new Weights(type, type, device.maxBinding);
    const sizes = {
      diffusion: { depth, width, mlp_ratio: 4, prediction, timesteps },
      image_tokenizer: { embed_dim: 2 },
      llm: { hidden_size: classes },
    };
    this.mlp = new DiffusionMLP(this.weights, sizes as MMARConfig);
    this.workspace = new Workspace(device);
    this.weights.allocate(device);
    this.weights.layout.forEach(({ tensor, blocks }, i) => {
      this.workspace.write(tensor, initial(blocks[0].name, blocks[0].shape, tensor, new Draws(seed, i, 'weights')));
    });
  }

  /** Learns; returns the mean loss of the last steps. */
  async train({ onStep, signal }: Watch = {}): Promise<number> {
    const { device, settings, workspace } = this;
    const { batch, steps, seed, prediction } = settings;
    const learned = this.weights.layout.map(({ tensor, blocks }) => ({ tensor, blocks, decays: false }));
    const adam = new Optimiser(device, learned, optimiser);
    const make = workspace.tensor.bind(workspace);
    const inputs = {
      x: make('x', 'f32', [batch, 2]),
      u: make('u', 'f32', [batch, 2]),
      t: make('t', 'u32', [batch]),
      z: make('z', settings.type, [batch, classes]),
      weight: make('weight', 'f32', [batch]),
      zero: make('zero', 'u32', [1]),
      one: make('one', 'f32', [1]),
      sum: make('sum', 'f32', [1]),
    };
    workspace.write(inputs.weight, new Float32Array(batch).fill(1 / (2 * batch)));
    workspace.write(inputs.one, [1]);
    await adam.begin();
    const pass = await workspace.program('train', (p) => {
      p.part('chessboard');
      p.tape = new Tape(p, adam.gradients, add);
      const modulation = this.modulation(p, inputs);
      const loss = mse(p, this.mlp.forward(p, inputs.x, modulation, 0), inputs.u, inputs.weight);
      add(p, inputs.sum, loss, inputs.sum);
      p.tape.backward(loss, inputs.one);
    });
    const update = await workspace.program('AdamW', (p) => {
      adam.record(p);
    });
    const noising = new Noising(prediction, timesteps, 2);
    let mean = NaN;
    for (let step = 0; step < steps; step++) {
      checkCancelled(signal);
      const drawn = examples(batch, seed, step, noising);
      for (const key of ['x', 'u', 't', 'z'] as const) workspace.write(inputs[key], drawn[key]);
      adam.prepare(step, this.rate(step));
      for (const program of [pass, update]) await device.queue.run(program, signal);
      await device.queue.pace(signal);
      if ((step + 1) % lossEvery === 0 || step === steps - 1) {
        mean = (await device.read(inputs.sum))[0] / ((step % lossEvery) + 1);
        workspace.write(inputs.sum, [0]);
      }
      onStep?.(step + 1, mean);
    }
    await this.takeAverages(adam);
    await adam.release();
    if (!Number.isFinite(mean)) throw new MMARError('usage', `the loss is ${mean}; give a smaller --lr`);
    return mean;
  }

  /** A warm-up, then a cosine down to nothing. */
  private rate(step: number): number {
    const { lr, steps } = this.settings;
    const warmUp = Math.min(1, (step + 1) / (0.05 * steps));
    return lr * warmUp * (0.5 + 0.5 * Math.cos((Math.PI * step) / steps));
  }

  private modulation(p: Recorder, { t, z, zero }: { t: Tensor; z: Tensor; zero: Tensor }): Tensor {
    return this.mlp.modulation(p, this.mlp.condition(p, z), this.mlp.times(p, t), zero, 1, 1);
  }

  /** What is drawn with are the averages over the steps. */
  private async takeAverages(adam: Optimiser): Promise<void> {
    const program = await this.device.record('averages', (p) => {
      for (const { tensor, average } of adam.states) {
        zeros(p, tensor);
        add(p, tensor, average, tensor);
      }
    });
    await this.device.queue.run(program);
    await this.device.queue.idle();
    program.destroy();
  }

  /** Points [n × 2] of a class; the output is rounded to the type before each sampler step. */
  async draw(n: number, quadrant: Quadrant, how: BoardSampler, watch: Watch = {}): Promise<Float32Array> {
    const rows = Math.min(n, mostRows);
    const { x, tables, key, program, noise } = await this.sampler(rows, how.steps, how.eta);
    const { device, workspace } = this;
    const z = Array.from({ length: rows }, () => oneHot(quadrant)).flat();
    workspace.write(tables.z, z);
    const points = new Float32Array(2 * n);
    for (let first = 0; first < n; first += rows) {
      workspace.write(key, [this.settings.seed, (quadrant << 24) | (first / rows)]);
      workspace.write(tables.step, [how.skip]);
      await device.queue.run(noise, watch.signal);
      for (let step = how.skip; step < how.steps; step++) {
        await device.queue.run(program, watch.signal);
        await device.queue.pace(watch.signal);
      }
      points.set((await device.read(x)).subarray(0, 2 * Math.min(rows, n - first)), 2 * first);
      watch.onStep?.(Math.min(n, first + rows));
    }
    return points;
  }

  /** What the model says of noisy points [n × 2] of a class at one time step. */
  async predict(points: Float32Array, t: number, quadrant: Quadrant): Promise<Float32Array> {
    const { device, settings } = this;
    const own = new Workspace(device);
    try {
      const make = own.tensor.bind(own);
      const rows = points.length / 2;
      const x = make('x', 'f32', [rows, 2]);
      const u = make('u', 'f32', [rows, 2]);
      const z = make('z', settings.type, [rows, classes]);
      const time = make('t', 'u32', [1]);
      own.write(x, points);
      own.write(z, Array.from({ length: rows }, () => oneHot(quadrant)).flat());
      own.write(time, [t]);
      const zero = make('zero', 'u32', [1]);
      const program = await own.program('predict', (p) => {
        const modulation = this.mlp.modulation(p, this.mlp.condition(p, z), this.mlp.times(p, time), zero, 1);
        add(p, u, this.mlp.forward(p, x, modulation, 0), u);
      });
      await device.queue.run(program);
      return await device.read(u);
    } finally {
      await own.release();
    }
  }

  private readonly samplers = new Map<string, ReturnType<TrainedBoard['makeSampler']>>();

  private sampler(rows: number, steps: number, eta: number): ReturnType<TrainedBoard['makeSampler']> {
    const key = `${rows} ${steps} ${eta}`;
    const made = this.samplers.get(key) ?? this.makeSampler(rows, steps, eta);
    this.samplers.set(key, made);
    return made;
  }

  private async makeSampler(rows: number, steps: number, eta: number) {
    const { workspace, mlp, settings } = this;
    const { type, prediction } = settings;
    const make = workspace.tensor.bind(workspace);
    const x = make('x', 'f32', [rows, 2]);
    const key = make('key', 'u32', [2]);
    const rounded = make('zeros', type, [rows, 2]);
    const exact = make('zeros', 'f32', [rows, 2]);
    const tables = {
      coefficients: make('coefficients', 'f32', [steps, 4]),
      step: make('step', 'u32', [1]),
      guidance: make('guidance', 'f32', [1]),
      stepNoise: eta > 0 ? make('step noise', 'f32', [steps * rows, 2]) : undefined,
      chosen: make('chosen', 'u32', [rows]),
      z: make('z', type, [rows, classes]),
    };
    const times = make('times', 'u32', [steps]);
    const embedded = make('embedded times', type, [steps, mlp.width]);
    workspace.write(tables.coefficients, samplerCoefficients(prediction, timesteps, steps, eta, 1));
    workspace.write(times, chosenTimes(timesteps, steps).reverse());
    workspace.write(
      tables.chosen,
      Uint32Array.from({ length: rows }, (_, i) => i),
    );
    const record = (name: string, record: (p: Recorder) => void): Promise<Program> =>
      workspace.program(`${name} ${rows} ${steps} ${eta}`, (p) => {
        p.part('chessboard');
        record(p);
      });
    const noise = await record('noise', (p) => {
      normalNoise(p, key, noiseStream, x);
      if (tables.stepNoise) normalNoise(p, key, stepNoiseStream, tables.stepNoise);
      mlp.times(p, times, embedded);
    });
    const program = await record('step', (p) => {
      const modulation = mlp.modulation(p, mlp.condition(p, tables.z), embedded, tables.step, 1);
      const u = mlp.forward(p, x, modulation, 0);
      samplerStep(p, x, type === 'f32' ? u : add(p, exact, add(p, rounded, u)), tables, 1, 0);
      advance(p, tables.step, 1);
    });
    return { x, tables, key, program, noise };
  }

  async release(): Promise<void> {
    await this.workspace.release();
    this.weights.release(this.device);
  }
}

const oneHot = (at: number): number[] => Array.from({ length: classes }, (_, i) => Number(i === at));

/** As MAR begins: matrices small and normal, norms 1, biases and what modulates 0, the output 0. */
function initial(name: string, shape: readonly number[], { rows, cols }: Tensor, draws: Draws): Float32Array {
  const values = new Float32Array(rows * cols);
  if (/adaLN_modulation|final_layer/.test(name) || name.endsWith('.bias')) return values;
  if (shape.length === 1) return values.fill(1);
  const deviation = 1 / Math.sqrt(shape[1]);
  return values.map(() => deviation * draws.normal());
}

/** Points of the board at random times, and what the model should say of them. */
function examples(n: number, seed: number, step: number, noising: Noising) {
  const draws = new Draws(seed, step, 'example');
  const rows = Uint32Array.from({ length: n }, (_, i) => i);
  const quadrants = Array.from({ length: n }, () => draws.below(classes) as Quadrant);
  const clean = quadrants.flatMap((quadrant) => {
    const { corner } = region(quadrant);
    const cell = draws.below(2);
    return corner.map((from) => from + (cell + draws.uniform()) * board.cell);
  });
  const t = Uint32Array.from({ length: n }, () => draws.below(timesteps));
  const noise = Float32Array.from({ length: 2 * n }, () => draws.normal());
  return { ...noising.add(clean, rows, t, noise), t, z: quadrants.flatMap(oneHot) };
}
