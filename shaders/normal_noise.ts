import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import normalNoiseWgsl from './normal_noise.wgsl';

/**
 * Fills y with normal noise. Rows lie step by step, then picture by picture, then by position; a picture's noise is a
 * function of its seed, the step and the position alone, whatever pictures lie beside it.
 * @param seeds u32 [pictures, 2], read on the device
 * @param stream tells independent uses of one seed apart
 * @param y f32 [steps × pictures × positions, cols]
 * @param positions of one picture; without it the seeds share all rows of one step
 * @param deviation f32 [1], the standard deviation, read on the device; 1 unless given
 */
export function normalNoise(
  p: Recorder,
  seeds: Tensor,
  stream: number,
  y: Tensor,
  { positions = y.rows / seeds.rows, deviation }: { positions?: number; deviation?: Tensor } = {},
): void {
  checkShape(
    y.type === 'f32' &&
      seeds.type === 'u32' &&
      seeds.cols === 2 &&
      Number.isInteger(y.rows / (seeds.rows * positions) || 0),
    'normal_noise',
    'y f32 [steps × pictures × positions, cols], seeds u32 [pictures, 2]',
    y,
    seeds,
  );
  p.operation({
    name: 'normal_noise',
    source: normalNoiseWgsl,
    read: [seeds, deviation ?? seeds],
    write: [y],
    ...elementwise(p, y.rows * (y.pitch / 4), {}, [
      y.cols,
      y.pitch / 4,
      stream,
      seeds.rows,
      positions,
      Number(deviation !== undefined),
    ]),
  });
}
