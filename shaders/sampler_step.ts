import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import samplerStepWgsl from './sampler_step.wgsl';

/** The tables of a sampler on the device; `model/sampler.ts` computes the coefficients. */
export interface SamplerTables {
  /** f32 [steps, 4]: a, b, c and the row of `stepNoise` of each step, in the order in which they run */
  coefficients: Tensor;
  /** u32 [1]: the step to run next */
  step: Tensor;
  /** f32 [1]: ω */
  guidance: Tensor;
  /** f32 [steps × positions, d], where steps have noise */
  stepNoise?: Tensor;
  /** u32 [rows]: the position of each row, for its noise */
  chosen: Tensor;
}

/**
 * One sampler step in place: x ← a u + b x + c noise (Eq. 16, or the DDPM posterior), u guided by Eq. 28.
 * @param x f32 [branches × rows, d], the branches alike
 * @param u f32 [branches × rows, d], the model's output, the conditional branch first
 * @param offset steps past `tables.step`
 */
export function samplerStep(
  p: Recorder,
  x: Tensor,
  u: Tensor,
  tables: SamplerTables,
  branches: number,
  offset: number,
): void {
  checkShape(
    x.type === 'f32' && u.type === 'f32' && x.rows === u.rows && x.cols === u.cols,
    'sampler_step',
    'x and u f32 of one shape',
    x,
    u,
  );
  const rows = x.rows / branches,
    { coefficients, step, guidance, stepNoise, chosen } = tables;
  p.operation({
    name: 'sampler_step',
    source: samplerStepWgsl,
    read: [u, coefficients, step, guidance, stepNoise ?? coefficients, chosen],
    write: [x],
    ...elementwise(p, rows * (x.pitch / 4), {}, [
      x.pitch / 4,
      branches,
      offset,
      (stepNoise?.rows ?? 0) / coefficients.rows,
    ]),
  });
}
