import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import type { DrawingExample, ReadingExample } from './passes.ts';
import type { Lengths } from './segments.ts';

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

/** The losses of a system (spec: training.md, section 2), over the forward pass of its own parts. */
export interface Graph {
  drawing(workspace: Workspace, shape: PassShape): Pass<DrawingExample>;
  reading(workspace: Workspace, shape: PassShape): Pass<ReadingExample>;
}
