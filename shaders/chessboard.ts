import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import chessboardScoreWgsl from './chessboard_score.wgsl';
import chessboardStepWgsl from './chessboard_step.wgsl';
import { checkShape, grid } from './common.ts';
import { roundingStream, stepNoiseStream } from './random.ts';

/** The board of §6.8: 4 × 4 cells on [-√3, √3]², so unit variance an axis, those filled whose column and row are alike. */
export const board = { side: Math.sqrt(3), cell: Math.sqrt(3) / 2 } as const;

/** A quadrant of the board, which is a class: 0 to 3, to the right, then up; its two filled cells. */
export type Quadrant = 0 | 1 | 2 | 3;

/** The lower left corner and the cells an axis of a quadrant, or of the whole board. */
export function region(quadrant?: Quadrant): { corner: [x: number, y: number]; columns: number } {
  if (quadrant === undefined) return { corner: [-board.side, -board.side], columns: 4 };
  const [right, up] = [quadrant & 1, quadrant >> 1];
  return { corner: [(right - 1) * board.side, (up - 1) * board.side], columns: 2 };
}

/** The tables of a run on the device; `numerics/chessboard.ts` computes the steps. */
export interface ChessboardTables {
  /**
   * f32 [steps, 24], in the order in which they run: a, b, c, σ; p, q, cos φ, sin φ; α, tan φ, whether the noise is wide, 0;
   * then, for wide noise, α times the nodes over 0, their weights and their parts of the mean
   */
  steps: Tensor;
  /** u32 [1]: the step to run next */
  step: Tensor;
  /** u32 [2] */
  seed: Tensor;
}

/** What a step does besides denoising. */
export interface ChessboardStep {
  /** The type that the output is rounded to, if any. */
  type?: 'bf16' | 'f16' | 'f32';
  /** The class whose cells the denoiser knows; without one, all. */
  quadrant?: Quadrant;
  /** Whether σ is over 0. */
  noisy?: boolean;
}

/**
 * One sampler step in place, by the exact denoiser of the board.
 * @param x f32 [points / 2, 4]
 */
export function chessboardStep(
  p: Recorder,
  x: Tensor,
  { steps, step, seed }: ChessboardTables,
  { type, quadrant, noisy = false }: ChessboardStep = {},
): void {
  const fits = x.type === 'f32' && x.cols === 4 && steps.type === 'f32' && steps.cols === 24;
  checkShape(fits, 'chessboard_step', 'x f32 [n, 4], steps f32 [n, 24]', x, steps);
  const [firstX, firstY] = region(quadrant).corner.map((at) => at + board.cell / 2);
  p.operation({
    name: 'chessboard_step',
    source: chessboardStepWgsl,
    constants: {
      bf16: type === 'bf16',
      f16: type === 'f16',
      f32: type === 'f32',
      whole: quadrant === undefined,
      noisy,
      noise_stream: stepNoiseStream,
      rounding_stream: roundingStream,
    },
    read: [steps, step, seed],
    write: [x],
    uniforms: [x.rows, ...[firstX, firstY, board.cell].map(f32Bits)],
    workgroups: grid(p, x.rows, 64),
  });
}

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
