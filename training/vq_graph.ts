import type { Workspace } from '../engine/workspace.ts';
import type { VQConfig } from '../model/config.ts';
import type { ImageHead } from '../model/image_head.ts';
import { crossEntropy } from '../shaders/cross_entropy.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import type { Pass, PassShape } from './graph.ts';
import { MaskedGraph, type MaskedSystem } from './masked_graph.ts';
import type { DrawingExample } from './passes.ts';

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
      index = workspace.tensor('hidden', 'u32', [shape.targets]),
      codes = workspace.tensor('codes', 'i32', [shape.targets]),
      weights = workspace.tensor('weights', 'f32', [shape.targets]);
    return {
      write(examples, weight) {
        pictures.write(examples);
        const all = examples.flatMap(({ tokens, hidden }, e) =>
          Array.from(hidden, (at) => ({
            row: e * config.image_tokens + at,
            code: tokens[at],
            weight: weight / hidden.length,
          })),
        );
        const padded = (values: number[]) => [...values, ...new Array<number>(shape.targets - values.length).fill(0)];
        workspace.write(index, padded(all.map(({ row }) => row)));
        workspace.write(codes, padded(all.map(({ code }) => code)));
        workspace.write(weights, padded(all.map(({ weight }) => weight)));
      },
      record(p) {
        const z = gatherRows(p, pictures.record(p), index);
        return crossEntropy(p, head.forward(p, z), codes, weights, config.image_tokenizer.codebook_size);
      },
    };
  }
}
