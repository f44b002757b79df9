import type { Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import timeEmbeddingWgsl from './time_embedding.wgsl';

/**
 * Sinusoidal embedding of diffusion times: [cos(t f), sin(t f)] (spec section 4).
 * @param t u32 [n]
 * @param frequency f32 [half], half even
 * @returns [n, 2 half] of element type `type`
 */
export function timeEmbedding(p: Recorder, t: Tensor, frequency: Tensor, type: ElementType): Tensor {
  const half = frequency.cols;
  checkShape(
    t.type === 'u32' && t.rows === 1 && half % 2 === 0,
    'time_embedding',
    't u32[n], an even number of frequencies',
    t,
    frequency,
  );
  const y = p.tensor('time_embedding', type, [t.cols, 2 * half]);
  p.operation({
    name: 'time_embedding',
    source: timeEmbeddingWgsl,
    read: [t, frequency],
    write: [y],
    ...elementwise(p, t.cols * (half / 2), { y: type }, [half]),
  });
  return y;
}
