import type { Workspace } from '../engine/workspace.ts';
import type { VQConfig } from '../model/config.ts';
import type { ImageHead } from '../model/image_head.ts';
import type { Pass, PassShape } from './graph.ts';
import { MaskedGraph, type MaskedSystem } from './masked_graph.ts';
import type { DrawingExample } from './passes.ts';
import { Targets } from './targets.ts';

interface VQSystem extends MaskedSystem {
  config: VQConfig;
  head: ImageHead;
}

/** Ablation-VQ: each hidden token's code is told by a linear. */
export class VQGraph extends MaskedGraph {
  /** @param codebook f32 [codes, d], what stands for a code in the EmbeddingViT's input */
  constructor(
    protected override readonly system: VQSystem,
    private readonly codebook: Float32Array,
  ) {
    super(system);
  }

  protected override values(codes: ArrayLike<number>): ArrayLike<number> {
    const d = this.system.config.image_tokenizer.embed_dim;
    return Array.from(codes).flatMap((code) => Array.from(this.codebook.subarray(code * d, (code + 1) * d)));
  }

  /** The cross-entropy of the hidden tokens' codes. */
  drawing(workspace: Workspace, shape: PassShape): Pass<DrawingExample> {
    const { head, config } = this.system,
      pictures = this.pictures(workspace, shape),
      targets = new Targets(workspace, shape.targets, config.image_tokenizer.codebook_size);
    return {
      write(examples, weight) {
        pictures.write(examples);
        targets.write(
          examples.flatMap(({ tokens, hidden }, e) =>
            Array.from(hidden, (at) => ({
              row: e * config.image_tokens + at,
              id: tokens[at],
              weight: weight / hidden.length,
            })),
          ),
        );
      },
      record: (p) => targets.record(p, pictures.record(p), (rows) => head.forward(p, rows)),
    };
  }
}
