import type { Recorder } from '../engine/program.ts';
import { roundUp, type Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import { add } from '../shaders/add.ts';
import { crossEntropy } from '../shaders/cross_entropy.ts';
import { gatherRows } from '../shaders/gather_rows.ts';

/** A row of hidden states, the class that a head should tell of it, and what it counts. */
export interface Target {
  row: number;
  id: number;
  weight: number;
}

/** Bytes of logits that are held at once: 55 rows of Qwen2's vocabulary. */
const mostLogits = 32 << 20;

/**
 * The cross-entropy of a head over many classes, some rows at a time: where these are more than one chunk, the logits of each
 * are made again on its way back, so that no more than one chunk of them is held, whatever the batch.
 */
export class Targets {
  private readonly chunks: { rows: number; index: Tensor; ids: Tensor; weights: Tensor }[] = [];

  constructor(
    private readonly workspace: Workspace,
    rows: number,
    private readonly classes: number,
    most = Math.min(mostLogits, workspace.device.maxBinding),
  ) {
    const size = Math.max(1, Math.floor(most / (4 * roundUp(classes, 4))));
    for (let first = 0; first < rows; first += size) {
      const count = Math.min(size, rows - first);
      this.chunks.push({
        rows: count,
        index: workspace.tensor('target rows', 'u32', [count]),
        ids: workspace.tensor('target ids', 'i32', [count]),
        weights: workspace.tensor('target weights', 'f32', [count]),
      });
    }
  }

  /** Rows that no target fills have no weight. */
  write(targets: readonly Target[]): void {
    let first = 0;
    for (const { rows, index, ids, weights } of this.chunks) {
      const some = Array.from({ length: rows }, (_, i) => targets[first + i] ?? { row: 0, id: 0, weight: 0 });
      this.workspace.write(
        index,
        some.map(({ row }) => row),
      );
      this.workspace.write(
        ids,
        some.map(({ id }) => id),
      );
      this.workspace.write(
        weights,
        some.map(({ weight }) => weight),
      );
      first += rows;
    }
  }

  /**
   * @param hidden what the rows are of
   * @param head rows of it to logits f32 [n, classes or more]
   * @returns the weighted sum of all losses, f32 [1]
   */
  record(p: Recorder, hidden: Tensor, head: (rows: Tensor) => Tensor): Tensor {
    const several = this.chunks.length > 1;
    const losses = this.chunks.map(({ index, ids, weights }) =>
      p.block(() => crossEntropy(p, head(gatherRows(p, hidden, index)), ids, weights, this.classes), several),
    );
    return losses.reduce((sum, loss) => add(p, sum, loss));
  }
}
