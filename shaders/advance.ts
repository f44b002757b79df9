import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import advance_wgsl from './advance.wgsl';

/** Adds `by` to `count` of the counters (u32) from `first` on: a recorded program moves on without the host. */
export function advance(p: Recorder, counter: Tensor, by: number, first = 0, count = 1): void {
  p.dispatch({ name: 'advance', source: advance_wgsl, constants: {}, read: [], write: [counter], uniforms: [first, count, by], workgroups: [1] });
}
