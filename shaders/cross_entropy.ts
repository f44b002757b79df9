import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise, grid, reduceLanes } from './common.ts';
import crossEntropyWgsl from './cross_entropy.wgsl';
import crossEntropyBackwardWgsl from './cross_entropy_backward.wgsl';
import { sum } from './sum.ts';

/**
 * A weighted cross-entropy: Σ_r weight[r] (log Σ_c e^logit - logit[target]). With weights of 1 / targets it is the mean.
 * On the way back the gradient takes the logits' place: nothing else may read them later.
 * @param logits f32 [rows, classes or more]: columns past `classes` mean nothing
 * @param target i32 [rows]; negative: the row has no loss
 * @param weight f32 [rows]
 * @returns f32 [1]
 */
export function crossEntropy(p: Recorder, logits: Tensor, target: Tensor, weight: Tensor, classes: number): Tensor {
  const { rows } = logits;
  checkShape(
    logits.type === 'f32' && logits.cols >= classes && target.type === 'i32' && target.cols === rows,
    'cross_entropy',
    `logits f32[${rows}, ${classes} or more], target i32[${rows}]`,
    logits,
    target,
  );
  checkShape(weight.type === 'f32' && weight.cols === rows, 'cross_entropy', `a weight f32[${rows}]`, weight);
  const logSum = p.tensor('log sum', 'f32', [rows]);
  const forward = (): Tensor => {
    const perRow = p.tensor('cross_entropy rows', 'f32', [rows]);
    p.operation({
      name: 'cross_entropy',
      source: crossEntropyWgsl,
      constants: { lanes: reduceLanes(p) },
      read: [logits, target, weight],
      write: [perRow, logSum],
      uniforms: [rows, logits.pitch / 4, classes, perRow.pitch],
      workgroups: grid(p, rows, 1),
    });
    return sum(p, perRow);
  };
  return p.composite('cross_entropy', [logits], forward, (dloss) => {
    p.operation({
      name: 'cross_entropy_backward',
      source: crossEntropyBackwardWgsl,
      read: [target, weight, logSum, dloss],
      write: [logits],
      ...elementwise(p, rows * (logits.pitch / 4), {}, [logits.pitch / 4, classes]),
    });
    p.tape!.give(logits, logits);
  });
}
