import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape } from './common.ts';
import nearestCodeWgsl from './nearest_code.wgsl';

/**
 * The number of the codebook's row nearest to each row of x (L2); the lowest of those that are equally near.
 * @param x f32 [rows, d]
 * @param codebook [codes, d]
 * @returns u32 [rows]
 */
export function nearestCode(p: Recorder, x: Tensor, codebook: Tensor): Tensor {
  checkShape(
    x.type === 'f32' && x.cols === codebook.cols && codebook.rows > 0,
    'nearest_code',
    'x f32 [rows, d], codebook [codes, d]',
    x,
    codebook,
  );
  const codes = p.tensor('codes', 'u32', [x.rows]);
  p.operation({
    name: 'nearest_code',
    source: nearestCodeWgsl,
    constants: { w: codebook.type, weights: 'codebook', lanes: p.device.software ? 8 : 64 },
    read: [x, codebook],
    write: [codes],
    uniforms: [codebook.rows, x.pitch / 4],
    workgroups: [x.rows],
  });
  return codes;
}
