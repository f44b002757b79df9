import type { Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import type { Qwen2 } from '../model/qwen2.ts';
import { crossEntropy } from '../shaders/cross_entropy.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import type { PassShape } from './graph.ts';
import type { ReadingExample } from './passes.ts';

/** The answers' tokens: the row before each, the id that it is, and what it counts. */
export class Answers {
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
  record(p: Recorder, hidden: Tensor, llm: Qwen2): Tensor {
    return crossEntropy(p, llm.logits(p, gatherRows(p, hidden, this.index)), this.ids, this.weights, llm.vocab_size);
  }
}
