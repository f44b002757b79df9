import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape } from './common.ts';
import sampleCodeWgsl from './sample_code.wgsl';

/** What one draw of codes reads on the device. */
export interface CodeSampling {
  /** u32 [rows]: the position of each row */
  chosen: Tensor;
  /** f32 [positions]: a number from 0 up to 1 for each, read at temperatures over 0 */
  uniform: Tensor;
  /** f32 [2]: guidance ω, and temperature (0: the likeliest code) */
  sampling: Tensor;
}

/**
 * Draws a code for each row (spec section 7): guided logits, softmax, inverse of the cumulative distribution. Ties go to
 * the lowest code.
 * @param logits f32 [branches × rows, codebook size], the conditional branch first
 * @param codes u32 [positions], written at `chosen`
 * @param drawn u32 [rows], the same codes by row
 */
export function sampleCode(
  p: Recorder,
  logits: Tensor,
  { chosen, uniform, sampling }: CodeSampling,
  codes: Tensor,
  drawn: Tensor,
  branches: number,
): void {
  const rows = logits.rows / branches;
  checkShape(
    logits.type === 'f32' && logits.cols > 0 && chosen.cols === rows && drawn.cols === rows && sampling.cols === 2,
    'sample_code',
    `logits f32 [${branches} × rows, codes], chosen and drawn u32 [rows], sampling f32 [2]`,
    logits,
    chosen,
    drawn,
    sampling,
  );
  p.operation({
    name: 'sample_code',
    source: sampleCodeWgsl,
    constants: { lanes: 64 },
    read: [logits, chosen, uniform, sampling],
    write: [codes, drawn],
    uniforms: [rows, logits.cols, logits.pitch, branches],
    workgroups: [rows],
  });
}
