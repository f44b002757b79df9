import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape } from './common.ts';
import type { Linear } from './linear.ts';
import { type Block, gemm } from './matmul.ts';

/** Whether a layer's low-rank part can be merged with one rounding: its A is summed over, so it must lie in one buffer. */
export const mergeable = ({ lora }: Linear): boolean => lora?.a.pieces.length === 1;

/**
 * W + (alpha/rank) B A of a layer, rounded once: the matrix that image tokens meet (spec section 3.7).
 * @param into holds W, and afterwards the sum
 */
export function mergeLowRank(p: Recorder, layer: Linear, into: Tensor): void {
  const { weight, lora } = layer;
  checkShape(
    lora !== undefined && mergeable(layer) && into.type === weight.type && into.rows === weight.rows,
    `merge of ${weight.name}`,
    'a layer with a low-rank part whose A is whole, and a tensor like its weight',
    weight,
    into,
  );
  const { a, b, scale, firstColumns } = lora,
    rank = b.pitch;
  for (const { part: y, firstRow } of into.parts())
    for (const { part: up, firstRow: firstUp } of b.parts())
      for (const [i, first] of firstColumns.entries()) {
        const from = Math.max(first, firstRow, firstUp),
          to = Math.min(firstColumns[i + 1] ?? weight.rows, firstRow + y.rows, firstUp + up.rows);
        if (from >= to) continue;
        const at: Pick<Block, 'a' | 'b' | 'y'> = { a: [from - firstUp, 0], b: [i * rank, 0], y: [from - firstRow, 0] };
        gemm(p, {
          a: up,
          b: a,
          into: y,
          accumulate: true,
          epilogue: { alpha: scale },
          block: { m: to - from, k: rank, n: a.cols, ...at },
          label: `${weight.name} merged`,
        });
      }
}
