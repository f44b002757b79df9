import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { elementwise } from './common.ts';
import zerosWgsl from './zeros.wgsl';

/** Sets every element of `y` to zero: what sums are added to. */
export function zeros(p: Recorder, y: Tensor): Tensor {
  for (const { part } of y.parts()) {
    const quads = Math.ceil(part.bytes / 16); // buffers end in whole ones
    p.operation({
      name: 'zeros',
      source: zerosWgsl,
      read: [],
      write: [part],
      ...elementwise(p, quads),
    });
  }
  return y;
}

/**
 * The gradient of a tensor of which each operation reads columns of its own, such as AdaLN's modulation: each writes those of
 * the gradient, which is zeros first. Undefined where no gradient of `t` is wanted.
 */
export function sharedGradient(p: Recorder, t: Tensor): Tensor | undefined {
  if (!p.tape?.wants(t)) return undefined;
  const before = p.tape.gradient(t);
  if (before) return before;
  const gradient = zeros(p, p.tensor(`${t.name} gradient`, t.type, t.shape));
  p.tape.give(t, gradient);
  return gradient;
}
