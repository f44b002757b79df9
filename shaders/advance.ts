import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import advanceWgsl from './advance.wgsl';

/** Adds `by` to `count` of the counters (u32) from `first` on: a recorded program moves on without the host. */
export function advance(p: Recorder, counter: Tensor, by: number, first = 0, count = 1): void {
  p.operation({
    name: 'advance',
    source: advanceWgsl,
    constants: {},
    read: [],
    write: [counter],
    uniforms: [first, count, by],
    workgroups: [1],
  });
}
