import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import maskTokensBackwardWgsl from './mask_tokens_backward.wgsl';

/**
 * The gradient of what `maskTokens` takes as x: dy, but zeros at hidden positions.
 * @param dy [rows, W]
 * @param mask u32 [rows], 1 = hidden
 * @returns [rows, W], of dy's type
 */
export function maskTokensBackward(p: Recorder, dy: Tensor, mask: Tensor): Tensor {
  checkShape(mask.type === 'u32' && mask.cols === dy.rows, 'mask_tokens_backward', 'a mask u32[rows]', dy, mask);
  const dx = p.tensor('mask_tokens dx', dy.type, dy.shape),
    rowQuads = dy.pitch / 4;
  p.operation({
    name: 'mask_tokens_backward',
    source: maskTokensBackwardWgsl,
    read: [dy, mask],
    write: [dx],
    ...elementwise(p, dy.rows * rowQuads, { x: dy.type }, [rowQuads]),
  });
  return dx;
}
