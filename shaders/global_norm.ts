import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, grid, reducing } from './common.ts';
import globalNormWgsl from './global_norm.wgsl';
import { sum } from './sum.ts';

/** Quads that one workgroup sums: it decides the bits. */
const chunk = 4096;

/**
 * The Euclidean norm of all elements of some tensors together, such as gradients before they are clipped; in a fixed order.
 * @param tensors f32, their padding zeros
 * @returns f32 [1]
 */
export function globalNorm(p: Recorder, tensors: readonly Tensor[]): Tensor {
  const pieces = tensors.flatMap((t) => t.parts().map(({ part }) => part)),
    quads = (t: Tensor): number => t.rows * (t.pitch / 4),
    total = pieces.reduce((n, t) => n + Math.ceil(quads(t) / chunk), 0);
  const parts = p.tensor('global_norm parts', 'f32', [total]);
  let first = 0;
  pieces.forEach((t, i) => {
    checkShape(t.type === 'f32', 'global_norm', 'f32', t);
    const chunks = Math.ceil(quads(t) / chunk);
    p.operation({
      name: 'global_norm',
      source: globalNormWgsl,
      constants: reducing(p),
      read: [t],
      write: [parts],
      uniforms: [quads(t), chunk, chunks, first, i === pieces.length - 1 ? parts.pitch : 0],
      workgroups: grid(p, chunks, 1),
    });
    first += chunks;
  });
  return sum(p, parts, 'sqrt');
}
