import type { Workspace } from '../engine/workspace.ts';
import type { MMARConfig } from '../model/config.ts';
import type { DiffusionMLP } from '../model/diffusion_mlp.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import { mse } from '../shaders/mse.ts';
import type { Pass, PassShape } from './graph.ts';
import { MaskedGraph, type MaskedSystem } from './masked_graph.ts';
import { type DrawingExample, type Noised, Noising } from './passes.ts';

interface MMARSystem extends MaskedSystem {
  config: MMARConfig;
  diffusion: DiffusionMLP;
}

/** MMAR: each hidden token is denoised by the Diffusion MLP, at `draws` times. */
export class MMARGraph extends MaskedGraph {
  private readonly noising: Noising;

  constructor(
    protected override readonly system: MMARSystem,
    private readonly draws: number,
  ) {
    super(system);
    const { diffusion, image_tokenizer } = system.config;
    this.noising = new Noising(diffusion.prediction, diffusion.timesteps, image_tokenizer.embed_dim);
  }

  /** The mean squared error of the head's output. */
  drawing(workspace: Workspace, shape: PassShape): Pass<DrawingExample> {
    const { noising, draws } = this,
      { diffusion, config } = this.system,
      rows = draws * shape.targets,
      pictures = this.pictures(workspace, shape),
      d = config.image_tokenizer.embed_dim;
    const x = workspace.tensor('x', 'f32', [rows, d]),
      u = workspace.tensor('u', 'f32', [rows, d]),
      times = workspace.tensor('t', 'u32', [rows]),
      index = workspace.tensor('hidden', 'u32', [rows]),
      weights = workspace.tensor('weights', 'f32', [rows]),
      zero = workspace.tensor('zero', 'u32', [1]);
    return {
      write(examples, weight) {
        pictures.write(examples);
        const all = new Rows(rows, d);
        examples.forEach(({ tokens, hidden, times, noise }, example) => {
          const where = Array.from({ length: draws * hidden.length }, (_, i) => hidden[i % hidden.length]);
          const noised = noising.add(tokens, where, times, noise);
          all.add(noised, times, where, example * config.image_tokens, weight / (where.length * d));
        });
        workspace.write(x, all.x);
        workspace.write(u, all.u);
        workspace.write(times, all.times);
        workspace.write(index, all.index);
        workspace.write(weights, all.weights);
      },
      record(p) {
        const z = gatherRows(p, pictures.record(p), index);
        p.part('Diffusion MLP');
        const modulation = diffusion.modulation(p, diffusion.condition(p, z), diffusion.times(p, times), zero, 1, 1);
        return mse(p, diffusion.forward(p, x, modulation, 0), u, weights);
      },
    };
  }
}

/** The rows that a head is trained on; those that no example fills have no weight. */
class Rows {
  readonly x: Float32Array;
  readonly u: Float32Array;
  readonly times: Uint32Array;
  readonly index: Uint32Array;
  readonly weights: Float32Array;
  private at = 0;

  constructor(
    rows: number,
    private readonly d: number,
  ) {
    this.x = new Float32Array(rows * d);
    this.u = new Float32Array(rows * d);
    this.times = new Uint32Array(rows);
    this.index = new Uint32Array(rows);
    this.weights = new Float32Array(rows);
  }

  add(noised: Noised, times: ArrayLike<number>, index: number[], first: number, weight: number): void {
    this.x.set(noised.x, this.at * this.d);
    this.u.set(noised.u, this.at * this.d);
    this.times.set(times, this.at);
    this.index.set(
      index.map((i) => first + i),
      this.at,
    );
    this.weights.fill(weight, this.at, this.at + index.length);
    this.at += index.length;
  }
}
