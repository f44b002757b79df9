import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import type { Config } from '../model/config.ts';
import type { EmbeddingViT } from '../model/embedding_vit.ts';
import type { Qwen2 } from '../model/qwen2.ts';
import { Answers } from './answers.ts';
import type { Graph, Pass, PassShape } from './graph.ts';
import type { DrawingExample, ReadingExample } from './passes.ts';
import { Segments } from './segments.ts';

/** What MMAR and VQ have in common. */
export interface MaskedSystem {
  config: Pick<Config, 'image_tokens'> & { image_tokenizer: { embed_dim: number } };
  vit: EmbeddingViT;
  llm: Qwen2;
}

/** Pictures some of whose tokens are hidden, on their way through EmbeddingViT and LLM. */
export class HiddenPictures {
  readonly segments: Segments;
  private readonly tokens: Tensor;
  private readonly mask: Tensor;

  /** @param values the clean tokens [L, d] of an example */
  constructor(
    private readonly workspace: Workspace,
    private readonly system: MaskedSystem,
    private readonly shape: PassShape,
    private readonly values: (tokens: ArrayLike<number>) => ArrayLike<number>,
  ) {
    const { image_tokens: L, image_tokenizer } = system.config;
    this.segments = new Segments(workspace, system.llm, L, shape.examples, shape);
    this.tokens = workspace.tensor('tokens', 'f32', [shape.examples * L, image_tokenizer.embed_dim]);
    this.mask = workspace.tensor('mask', 'u32', [shape.examples * L]);
  }

  write(examples: readonly (ReadingExample | DrawingExample)[]): void {
    const { workspace, system, segments, values } = this,
      L = system.config.image_tokens,
      hidden = new Uint32Array(this.shape.examples * L);
    examples.forEach((example, e) => {
      if ('hidden' in example) for (const at of Array.from(example.hidden)) hidden[e * L + at] = 1;
    });
    segments.write([...examples]);
    workspace.write(
      this.tokens,
      examples.flatMap(({ tokens }) => Array.from(values(tokens))),
    );
    workspace.write(this.mask, hidden);
  }

  /** z of every image token, [examples × L, H]. */
  record(p: Recorder): Tensor {
    p.part('text');
    this.segments.head(p);
    p.part('EmbeddingViT');
    const visual = this.system.vit.forward(p, this.tokens, this.mask);
    p.part('LLM');
    return this.segments.image(p, visual);
  }
}

/** Masked auto-regression: tokens that are hidden are drawn by a head, each from its z; whole pictures are read. */
export abstract class MaskedGraph implements Graph {
  constructor(protected readonly system: MaskedSystem) {}

  abstract drawing(workspace: Workspace, shape: PassShape): Pass<DrawingExample>;

  /** The clean tokens [L, d] of an example. */
  protected values(tokens: ArrayLike<number>): ArrayLike<number> {
    return tokens;
  }

  protected pictures(workspace: Workspace, shape: PassShape): HiddenPictures {
    return new HiddenPictures(workspace, this.system, shape, (tokens) => this.values(tokens));
  }

  /** Pictures are read: the cross-entropy of the answers' tokens. */
  reading(workspace: Workspace, shape: PassShape): Pass<ReadingExample> {
    const pictures = this.pictures(workspace, shape),
      answers = new Answers(workspace, shape, this.system.llm);
    return {
      write(examples, weight) {
        pictures.write(examples);
        answers.write(examples, weight);
      },
      record: (p) => {
        pictures.record(p);
        p.part('text');
        return answers.record(p, pictures.segments.tail(p));
      },
    };
  }
}
