import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, grid, reducing } from './common.ts';
import type { Affine, Modulation } from './layer_norm.ts';
import layerNormBackwardWgsl from './layer_norm_backward.wgsl';

/** What of a layer norm has a gradient beside x. */
export interface LayerNormParts {
  affine?: Affine;
  modulation?: Modulation;
  /** Whether the gradients of weight and bias are wanted. */
  learns?: boolean;
  /** Of the modulation's shape and x's type: shift's and scale's columns of it are written. */
  dmodulation?: Tensor;
}

/**
 * What leads back from `layerNorm`.
 * @param x [rows, width]
 * @param dy [rows, width], of x's type
 * @returns dx [rows, width] of x's type; where `learns`, f32 [rows, 2 × width in whole quads] whose sums over the rows are the
 * gradients of weight and, behind it, bias
 */
export function layerNormBackward(
  p: Recorder,
  x: Tensor,
  eps: number,
  dy: Tensor,
  { affine, modulation, learns = false, dmodulation }: LayerNormParts,
): { dx: Tensor; daffine?: Tensor } {
  const fits = dy.type === x.type && dy.rows === x.rows && dy.cols === x.cols;
  checkShape(fits, 'layer_norm_backward', "dy of x's shape and type", x, dy);
  if (dmodulation) {
    const m = modulation?.tensor ?? x;
    const same = m.type === dmodulation.type && m.rows === dmodulation.rows && m.cols === dmodulation.cols;
    checkShape(same, 'layer_norm_backward', "a gradient of the modulation's shape and type", m, dmodulation);
  }
  const dx = p.tensor('layer_norm dx', x.type, x.shape),
    daffine = learns && affine ? p.tensor('layer_norm daffine', 'f32', [x.rows, 2 * x.pitch]) : undefined;
  const read = [x, dy];
  const bind = (t: Tensor | undefined): number => (t ? read.push(t) - 1 : 0);
  const inputs = { weight: bind(affine?.weight), bias: bind(affine?.bias), modulation: bind(modulation?.tensor) };
  const write = [dx];
  const bindOutput = (t: Tensor | undefined): number => (t ? read.length + write.push(t) - 1 : 0);
  const outputs = { dx: read.length, daffine: bindOutput(daffine), dmodulation: bindOutput(dmodulation) };
  const pitch = (modulation?.tensor.pitch ?? 0) / 4,
    first = (modulation?.firstRow ?? 0) * pitch;
  p.operation({
    name: 'layer_norm_backward',
    source: layerNormBackwardWgsl,
    constants: {
      ...reducing(p),
      x: x.type,
      w: affine?.weight.type ?? x.type,
      ...inputs,
      ...outputs,
      uniforms: read.length + write.length,
    },
    read,
    write,
    uniforms: [
      x.rows,
      x.pitch / 4,
      x.cols,
      f32Bits(eps),
      pitch,
      first + (modulation?.shift ?? 0) / 4,
      first + (modulation?.scale ?? 0) / 4,
    ],
    workgroups: grid(p, x.rows, 1),
  });
  return { dx, daffine };
}
