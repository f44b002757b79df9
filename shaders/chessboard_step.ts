import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { board, type Quadrant, region } from './chessboard.ts';
import chessboardStepWgsl from './chessboard_step.wgsl';
import { checkShape, elementwise } from './common.ts';
import { roundingStream, stepNoiseStream } from './random.ts';

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
    read: [steps, step, seed],
    write: [x],
    ...elementwise(
      p,
      x.rows,
      {
        bf16: type === 'bf16',
        f16: type === 'f16',
        f32: type === 'f32',
        whole: quadrant === undefined,
        noisy,
        noise_stream: stepNoiseStream,
        rounding_stream: roundingStream,
      },
      [...[firstX, firstY, board.cell].map(f32Bits)],
    ),
  });
}
