import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { columnSum } from './column_sum.ts';
import { checkShape, elementwise } from './common.ts';
import maskTokensWgsl from './mask_tokens.wgsl';
import { maskTokensBackward } from './mask_tokens_backward.ts';
import { plainIndex } from './scatter_rows.ts';

/**
 * The EmbeddingViT's input: the mask token in place of hidden positions, plus the learned position (spec section 3.2, 3.3).
 * @param x [pictures × L, W], the projected image tokens
 * @param mask u32 [pictures × L], 1 = hidden
 * @param pos_embed [L, W]
 */
export function maskTokens(p: Recorder, x: Tensor, mask: Tensor, mask_token: Tensor, pos_embed: Tensor): Tensor {
  checkShape(
    (x.rows % pos_embed.rows || 0) === 0 && pos_embed.cols === x.cols && mask.cols === x.rows,
    'mask_tokens',
    'x [pictures × L, W], pos_embed [L, W], mask [pictures × L]',
    x,
    pos_embed,
    mask,
  );
  const y = p.tensor('mask_tokens', x.type, x.shape);
  p.operation({
    name: 'mask_tokens',
    source: maskTokensWgsl,
    read: [x, mask, mask_token, pos_embed],
    write: [y],
    ...elementwise(p, x.rows * (x.pitch / 4), { x: x.type, w: pos_embed.type }, [x.pitch / 4, pos_embed.rows]),
    inputs: [x, mask_token, pos_embed],
    gradient: (dy) => {
      const tape = p.tape!;
      if (tape.wants(pos_embed)) columnSum(p, dy, { period: pos_embed.rows, into: tape.sink(pos_embed) });
      if (tape.wants(mask_token))
        columnSum(p, dy, { where: { index: plainIndex(mask), equals: 1 }, into: tape.sink(mask_token) });
      if (tape.wants(x)) tape.give(x, maskTokensBackward(p, dy, mask));
    },
  });
  return y;
}
