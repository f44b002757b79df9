import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import mseWgsl from './mse.wgsl';
import { sum } from './sum.ts';

/**
 * A weighted squared error: Σ_r weight[r] Σ_c (u - target)². With weights of 1 / (rows × cols) it is the mean.
 * @param u f32 [rows, cols]
 * @param target f32 [rows, cols]
 * @param weight f32 [rows]; 0: the row has no part in the loss
 * @returns f32 [1]
 */
export function mse(p: Recorder, u: Tensor, target: Tensor, weight: Tensor): Tensor {
  checkShape(
    u.type === 'f32' && target.type === 'f32' && u.rows === target.rows && u.cols === target.cols,
    'mse',
    'u and target f32 of one shape',
    u,
    target,
  );
  checkShape(
    weight.type === 'f32' && weight.rows === 1 && weight.cols === u.rows,
    'mse',
    `a weight f32[${u.rows}]`,
    weight,
  );
  const forward = (): Tensor => {
    const rows = p.tensor('mse rows', 'f32', [u.rows]);
    p.operation({
      name: 'mse',
      source: mseWgsl,
      read: [u, target, weight],
      write: [rows],
      ...elementwise(p, rows.pitch, { backward: false, uniforms: 4 }, [u.rows, u.pitch / 4]),
    });
    return sum(p, rows);
  };
  return p.composite('mse', [u], forward, (dloss) => {
    const du = p.tensor('mse du', 'f32', u.shape);
    p.operation({
      name: 'mse_backward',
      source: mseWgsl,
      read: [u, target, weight, dloss],
      write: [du],
      ...elementwise(p, u.rows * (u.pitch / 4), { backward: true, uniforms: 5 }, [u.rows, u.pitch / 4]),
    });
    p.tape!.give(u, du);
  });
}
