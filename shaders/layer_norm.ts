import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { columnSum } from './column_sum.ts';
import { checkShape, grid, reducing } from './common.ts';
import layerNormWgsl from './layer_norm.wgsl';
import { layerNormBackward } from './layer_norm_backward.ts';
import { sharedGradient } from './zeros.ts';

/** Weight and bias of a norm, both [width]. */
export interface Affine {
  weight: Tensor;
  bias: Tensor;
}

/** AdaLN's part of a wider tensor: shift and scale are its columns from there on, row r from `firstRow` + r. */
export interface Modulation {
  tensor: Tensor;
  firstRow: number;
  shift: number;
  scale: number;
}

/**
 * Layer norm, with AdaLN's modulation where it is given: LN(x) ⊙ (1 + scale) + shift (spec section 4).
 * @param x [rows, width]
 * @returns [rows, width], of x's type
 */
export function layerNorm(
  p: Recorder,
  x: Tensor,
  affine: Affine | undefined,
  eps: number,
  modulation?: Modulation,
): Tensor {
  checkShape(!affine || affine.weight.cols === x.cols, 'layer_norm', 'a weight as wide as x', x, affine?.weight ?? x);
  if (modulation) {
    const { tensor: m, firstRow, shift, scale } = modulation,
      rows = firstRow + x.rows,
      cols = Math.max(shift, scale) + x.cols;
    checkShape(
      m.type === x.type && m.rows >= rows && m.cols >= cols,
      'layer_norm',
      `a modulation ${x.type}[${rows}, ${cols}] or larger`,
      x,
      m,
    );
  }
  const y = p.tensor('layer_norm', x.type, x.shape),
    read = [x];
  const bind = (t: Tensor | undefined): number => (t ? read.push(t) - 1 : 0);
  const bindings = { weight: bind(affine?.weight), bias: bind(affine?.bias), modulation: bind(modulation?.tensor) };
  const pitch = (modulation?.tensor.pitch ?? 0) / 4,
    first = (modulation?.firstRow ?? 0) * pitch;
  p.operation({
    name: 'layer_norm',
    source: layerNormWgsl,
    read,
    write: [y],
    constants: {
      ...reducing(p),
      x: x.type,
      w: affine?.weight.type ?? x.type,
      ...bindings,
      out: read.length,
      uniforms: read.length + 1,
    },
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
    gradient: (dy) => {
      const tape = p.tape!,
        learns = tape.wants(affine?.weight) || tape.wants(affine?.bias),
        dmodulation = modulation && sharedGradient(p, modulation.tensor);
      const { dx, daffine } = layerNormBackward(p, x, eps, dy, { affine, modulation, learns, dmodulation });
      tape.give(x, dx);
      if (!affine || !daffine) return;
      const sum = (t: Tensor, first: number): void => {
        if (tape.wants(t)) columnSum(p, daffine, { columns: { first, count: x.cols }, into: tape.sink(t) });
      };
      sum(affine.weight, 0);
      sum(affine.bias, x.pitch);
    },
  });
  return y;
}
