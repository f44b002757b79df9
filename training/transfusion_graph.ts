import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import type { TransfusionConfig } from '../model/config.ts';
import type { Qwen2 } from '../model/qwen2.ts';
import type { TransfusionProjections } from '../model/transfusion.ts';
import { mse } from '../shaders/mse.ts';
import { Answers } from './answers.ts';
import type { Graph, Pass, PassShape } from './graph.ts';
import { type DrawingExample, Noising, type ReadingExample } from './passes.ts';
import { Segments } from './segments.ts';

interface TransfusionSystem {
  config: TransfusionConfig;
  llm: Qwen2;
  projections: TransfusionProjections;
}

/** Transfusion: the LLM denoises a whole picture, all tokens at one time; an example a pass. */
export class TransfusionGraph implements Graph {
  private readonly noising: Noising;

  constructor(private readonly system: TransfusionSystem) {
    const { diffusion, image_tokenizer } = system.config;
    this.noising = new Noising(diffusion.prediction, diffusion.timesteps, image_tokenizer.embed_dim);
  }

  /** The mean squared error over all tokens. */
  drawing(workspace: Workspace, shape: PassShape): Pass<DrawingExample> {
    const picture = new NoisyPicture(workspace, this.system, this.noising, shape),
      { image_tokens: L, image_tokenizer } = this.system.config,
      weights = workspace.tensor('weights', 'f32', [L]);
    return {
      write(examples, weight) {
        picture.write(examples);
        workspace.write(weights, new Float32Array(L).fill(weight / (L * image_tokenizer.embed_dim)));
      },
      record: (p) => mse(p, this.system.projections.output(p, picture.record(p)), picture.u, weights),
    };
  }

  /** The picture enters a little noised; the cross-entropy of the answer's tokens. */
  reading(workspace: Workspace, shape: PassShape): Pass<ReadingExample> {
    const picture = new NoisyPicture(workspace, this.system, this.noising, shape),
      answers = new Answers(workspace, shape, this.system.llm);
    return {
      write(examples, weight) {
        picture.write(examples);
        answers.write(examples, weight);
      },
      record: (p) => {
        picture.record(p);
        p.part('text');
        return answers.record(p, picture.segments.tail(p));
      },
    };
  }
}

class NoisyPicture {
  readonly segments: Segments;
  readonly u: Tensor;
  private readonly x: Tensor;
  private readonly time: Tensor;
  private readonly zero: Tensor;

  constructor(
    private readonly workspace: Workspace,
    private readonly system: TransfusionSystem,
    private readonly noising: Noising,
    shape: PassShape,
  ) {
    const { image_tokens: L, image_tokenizer } = system.config;
    this.segments = new Segments(workspace, system.llm, L, 1, shape);
    this.x = workspace.tensor('x', 'f32', [L, image_tokenizer.embed_dim]);
    this.u = workspace.tensor('u', 'f32', [L, image_tokenizer.embed_dim]);
    this.time = workspace.tensor('t', 'u32', [1]);
    this.zero = workspace.tensor('zero', 'u32', [1]);
  }

  write([example]: readonly (DrawingExample | ReadingExample)[]): void {
    const { workspace, noising } = this,
      { image_tokens: L } = this.system.config,
      [time] = Array.from(example.times ?? []),
      every = Array.from({ length: L }, (_, i) => i);
    const noised = noising.add(
      example.tokens,
      every,
      every.map(() => time),
      example.noise ?? [],
    );
    this.segments.write([example]);
    workspace.write(this.x, noised.x);
    workspace.write(this.u, noised.u);
    workspace.write(this.time, [time]);
  }

  /** Hidden states of the picture's tokens, [L, H]. */
  record(p: Recorder): Tensor {
    p.part('text');
    this.segments.head(p);
    p.part('LLM');
    return this.segments.image(p, this.system.projections.embed(p, this.x, this.time, this.zero));
  }
}
