import type { Tensor } from '../engine/tensor.ts';

/**
 * Where the branches of a batch stand: each has its own ids and its own position, the number of tokens whose keys and
 * values are kept. Kernels read both on the device, so that a recorded program serves every position.
 */
export interface Sequences {
  /** Branches that the kernel's rows belong to, row b × count + i the i-th of branch b. */
  branches: number;
  /** The first of those branches; 0 unless given. */
  first?: number;
  /** u32 [all branches] */
  position: Tensor;
  /** u32 [all branches, capacity]; unset at image tokens */
  ids: Tensor;
  /** Tokens that a branch can hold. */
  capacity: number;
}

/** Keys and values of one layer: [all branches × capacity, kv heads × head dim]. */
export interface LayerCache {
  k: Tensor;
  v: Tensor;
}
