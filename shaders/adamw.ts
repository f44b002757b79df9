import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import adamwWgsl from './adamw.wgsl';
import { checkShape, elementwise } from './common.ts';

/** What one learned tensor keeps from step to step, all of its shape. */
export interface AdamWState {
  /** f32: the tensor itself, before it is rounded */
  master: Tensor;
  /** f32: the running means of the gradient and of its square */
  moment1: Tensor;
  moment2: Tensor;
  /** f32: the average of the master over the steps */
  average?: Tensor;
  /** What the model reads, where that is another tensor than the master. */
  weight?: Tensor;
}

export interface AdamWSettings {
  beta1: number;
  beta2: number;
  eps: number;
  weight_decay: number;
  /** The global norm that gradients are clipped to. */
  clip: number;
}

/** The numbers of one step, which lie on the device: f32 [4]. */
export const adamwStep = (lr: number, n: number, { beta1, beta2 }: AdamWSettings, averageDecay: number): number[] => [
  lr,
  1 - beta1 ** n,
  Math.sqrt(1 - beta2 ** n),
  averageDecay,
];

/**
 * One step of AdamW as PyTorch takes it: decoupled decay, moments corrected for their bias, gradients clipped as
 * `clip_grad_norm_` does. All is changed in place.
 * @param gradient f32, of the master's shape; zeros behind it, for the next step's to add up in
 * @param norm f32 [1], the global norm of all gradients
 * @param step f32 [4]: `adamwStep`, its n counted from 1
 */
export function adamw(
  p: Recorder,
  state: AdamWState,
  gradient: Tensor,
  norm: Tensor,
  step: Tensor,
  { beta1, beta2, eps, weight_decay, clip }: AdamWSettings,
): void {
  const { master, moment1, moment2, average, weight } = state;
  for (const t of [gradient, moment1, moment2, average ?? master])
    checkShape(
      t.type === 'f32' && t.rows === master.rows && t.cols === master.cols && master.type === 'f32',
      'adamw',
      'f32 of one shape',
      master,
      t,
    );
  const same = !weight || (weight.rows === master.rows && weight.cols === master.cols);
  checkShape(same, 'adamw', "a weight of the master's shape", master, weight ?? master);
  const pieces = master.pieces.map(({ rows }) => rows).join();
  checkShape(
    !weight || weight.pieces.map(({ rows }) => rows).join() === pieces,
    'adamw',
    'a weight that lies in the same pieces, as where an adapter binds the master whole',
    master,
    weight ?? master,
  );
  master.parts().forEach(({ part }, i) => {
    const piece = (t: Tensor): Tensor => t.parts()[i].part;
    const read = [step, norm],
      write = [piece(gradient), part, piece(moment1), piece(moment2)];
    const bind = (t: Tensor | undefined): number => (t ? read.length + write.push(piece(t)) - 1 : 0);
    const bindings = { average: bind(average), weight: bind(weight) };
    const count = part.rows * (part.pitch / 4);
    p.operation({
      name: 'adamw',
      label: master.name,
      source: adamwWgsl,
      read,
      write,
      ...elementwise(p, count, { w: weight?.type ?? 'f32', ...bindings, uniforms: read.length + write.length }, [
        ...[1 - beta1, beta2, 1 - beta2, eps, weight_decay, clip].map(f32Bits),
      ]),
    });
  });
}
