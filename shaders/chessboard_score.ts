import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { board, type Quadrant, region } from './chessboard.ts';
import chessboardScoreWgsl from './chessboard_score.wgsl';
import { checkShape } from './common.ts';

/**
 * How many points lie off the filled cells, and how far they are from `wanted`, in sums to be added up.
 * @param x f32 [points / 2, 4]
 * @param wanted as x
 * @returns f32 [sums, 4]: points that are wrong, squared distances, 0, 0
 */
export function chessboardScore(p: Recorder, x: Tensor, wanted: Tensor, points: number, quadrant?: Quadrant): Tensor {
  const fits = [x, wanted].every((t) => t.type === 'f32' && t.cols === 4 && t.rows === Math.ceil(points / 2));
  checkShape(fits, 'chessboard_score', `f32 [${Math.ceil(points / 2)}, 4]`, x, wanted);
  const invocations = Math.min(4096, x.rows);
  const { corner, columns } = region(quadrant);
  const sums = p.tensor('sums', 'f32', [invocations, 4]);
  p.operation({
    name: 'chessboard_score',
    source: chessboardScoreWgsl,
    constants: {},
    read: [x, wanted],
    write: [sums],
    uniforms: [points, invocations, ...[...corner, board.cell, columns].map(f32Bits)],
    workgroups: [Math.ceil(invocations / 64)],
  });
  return sums;
}
