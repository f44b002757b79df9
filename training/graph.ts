import type { Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import type { MMARSystem } from '../model/variants/index.ts';
import { crossEntropy } from '../shaders/cross_entropy.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import { mse } from '../shaders/mse.ts';
import { type DrawingExample, Noising, type ReadingExample } from './passes.ts';
import { type Lengths, Segments } from './segments.ts';

/** A pass over some examples of one task: its small inputs, and the loss as it is recorded from them. */
export interface Pass<E> {
  /** @param weight of each example in the loss */
  write(examples: readonly E[], weight: number): void;
  /** The loss of all of them, f32 [1]. */
  record(p: Recorder): Tensor;
}

/** What decides a pass's shapes. */
export interface PassShape extends Lengths {
  examples: number;
  /** The most hidden tokens, or answer tokens, of all examples together. */
  targets: number;
}

/** The losses of MMAR (spec: training.md, section 2) over the model's own forward pass. */
export class MMARGraph {
  private readonly noising: Noising;

  constructor(
    private readonly parts: MMARSystem,
    private readonly draws: number,
  ) {
    const { diffusion, image_tokenizer } = parts.config;
    this.noising = new Noising(diffusion.prediction, diffusion.timesteps, image_tokenizer.embed_dim);
  }

  /** Hidden tokens are drawn: the mean squared error of the head's output at `draws` times each. */
  drawing(workspace: Workspace, shape: PassShape): Pass<DrawingExample> {
    const { parts, noising, draws } = this,
      rows = draws * shape.targets,
      image = this.image(workspace, shape),
      d = parts.config.image_tokenizer.embed_dim;
    const x = workspace.tensor('x', 'f32', [rows, d]),
      u = workspace.tensor('u', 'f32', [rows, d]),
      times = workspace.tensor('t', 'u32', [rows]),
      index = workspace.tensor('hidden', 'u32', [rows]),
      weights = workspace.tensor('weights', 'f32', [rows]),
      zero = workspace.tensor('zero', 'u32', [1]);
    return {
      write(examples, weight) {
        image.write(examples);
        const all = new Rows(rows, d);
        examples.forEach(({ tokens, hidden, times, noise }, example) => {
          const where = Array.from({ length: draws * hidden.length }, (_, i) => hidden[i % hidden.length]);
          const noised = noising.add(tokens, where, times, noise);
          all.add(noised, times, where, example * parts.config.image_tokens, weight / (where.length * d));
        });
        workspace.write(x, all.x);
        workspace.write(u, all.u);
        workspace.write(times, all.times);
        workspace.write(index, all.index);
        workspace.write(weights, all.weights);
      },
      record(p) {
        const { diffusion } = parts,
          z = gatherRows(p, image.record(p), index);
        p.part('Diffusion MLP');
        const modulation = diffusion.modulation(p, diffusion.condition(p, z), diffusion.times(p, times), zero, 1, 1);
        return mse(p, diffusion.forward(p, x, modulation, 0), u, weights);
      },
    };
  }

  /** Pictures are read: the cross-entropy of the answers' tokens. */
  reading(workspace: Workspace, shape: PassShape): Pass<ReadingExample> {
    const image = this.image(workspace, shape),
      answers = new Answers(workspace, shape),
      { llm } = this.parts;
    return {
      write(examples, weight) {
        image.write(examples.map((example) => ({ ...example, hidden: [] })));
        answers.write(examples, weight);
      },
      record(p) {
        image.record(p);
        p.part('text');
        return answers.record(p, image.segments.tail(p), llm);
      },
    };
  }

  /** The text before the image and the image itself. */
  private image(workspace: Workspace, shape: PassShape) {
    const { llm, vit, config } = this.parts,
      { image_tokens: L, image_tokenizer } = config,
      segments = new Segments(workspace, llm, L, shape.examples, shape),
      tokens = workspace.tensor('tokens', 'f32', [shape.examples * L, image_tokenizer.embed_dim]),
      mask = workspace.tensor('mask', 'u32', [shape.examples * L]);
    return {
      segments,
      write(examples: readonly (ReadingExample | DrawingExample)[]): void {
        segments.write([...examples]);
        const hidden = new Uint32Array(shape.examples * L);
        examples.forEach((example, e) => {
          if ('hidden' in example) for (const at of Array.from(example.hidden)) hidden[e * L + at] = 1;
        });
        workspace.write(
          tokens,
          examples.flatMap((example) => Array.from(example.tokens)),
        );
        workspace.write(mask, hidden);
      },
      record(p: Recorder): Tensor {
        p.part('text');
        segments.head(p);
        p.part('EmbeddingViT');
        const visual = vit.forward(p, tokens, mask);
        p.part('LLM');
        return segments.image(p, visual);
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

  add(
    noised: { x: Float32Array; u: Float32Array },
    times: ArrayLike<number>,
    index: number[],
    first: number,
    weight: number,
  ): void {
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

/** The answers' tokens: the row before each, the id that it is, and what it counts. */
class Answers {
  private readonly index: Tensor;
  private readonly ids: Tensor;
  private readonly weights: Tensor;

  constructor(
    private readonly workspace: Workspace,
    private readonly shape: PassShape,
  ) {
    const tensor = (name: string, type: ElementType) => workspace.tensor(name, type, [shape.targets]);
    this.index = tensor('answer rows', 'u32');
    this.ids = tensor('answer ids', 'i32');
    this.weights = tensor('answer weights', 'f32');
  }

  write(examples: readonly ReadingExample[], weight: number): void {
    const { workspace, shape } = this,
      answered = examples.flatMap(({ targets }, e) => {
        const rows = targets.flatMap((id, i) => (id >= 0 ? [{ id, row: e * shape.tail + 1 + i }] : []));
        return rows.map((row) => ({ ...row, weight: weight / rows.length }));
      });
    const padded = (values: number[]) => [...values, ...new Array<number>(shape.targets - values.length).fill(0)];
    workspace.write(this.index, padded(answered.map(({ row }) => row)));
    workspace.write(this.ids, padded(answered.map(({ id }) => id)));
    workspace.write(this.weights, padded(answered.map(({ weight }) => weight)));
  }

  /** @param hidden [examples × tail, H] */
  record(p: Recorder, hidden: Tensor, llm: MMARSystem['llm']): Tensor {
    return crossEntropy(p, llm.logits(p, gatherRows(p, hidden, this.index)), this.ids, this.weights, llm.vocab_size);
  }
}
