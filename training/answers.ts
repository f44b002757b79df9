import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import type { Qwen2 } from '../model/qwen2.ts';
import type { PassShape } from './graph.ts';
import type { ReadingExample } from './passes.ts';
import { Targets } from './targets.ts';

/** The answers' tokens, each told by the row before it. */
export class Answers {
  private readonly targets: Targets;

  constructor(
    workspace: Workspace,
    private readonly shape: PassShape,
    private readonly llm: Qwen2,
  ) {
    this.targets = new Targets(workspace, shape.targets, llm.vocab_size);
  }

  write(examples: readonly ReadingExample[], weight: number): void {
    const answered = examples.flatMap(({ targets }, e) => {
      const rows = targets.flatMap((id, i) => (id >= 0 ? [{ id, row: e * this.shape.tail + 1 + i }] : []));
      return rows.map((row) => ({ ...row, weight: weight / rows.length }));
    });
    this.targets.write(answered);
  }

  /** @param hidden [examples × tail, H] */
  record(p: Recorder, hidden: Tensor): Tensor {
    return this.targets.record(p, hidden, (rows) => this.llm.logits(p, rows));
  }
}
