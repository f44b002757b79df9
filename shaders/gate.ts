import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import gateWgsl from './gate.wgsl';
import type { Gate } from './matmul.ts';
import { sharedGradient } from './zeros.ts';

/**
 * x ⊙ gate + residual: what a layer does in its epilogue, on its own where x is kept for the way back.
 * @param x [rows, width]
 * @param residual [rows, width]
 * @returns [rows, width]; all of one type
 */
export function gate(p: Recorder, x: Tensor, columns: Gate, residual?: Tensor): Tensor {
  return dispatch(p, x, columns, false, residual);
}

/**
 * What leads back from `gate`.
 * @param dy of x's shape and type
 * @param dgate of the gate's tensor's shape and type: its columns are written
 * @returns dx; the residual's gradient is dy
 */
export function gateBackward(p: Recorder, x: Tensor, columns: Gate, dy: Tensor, dgate?: Tensor): Tensor {
  return dispatch(p, x, columns, true, dy, dgate);
}

function dispatch(
  p: Recorder,
  x: Tensor,
  columns: Gate,
  backward: boolean,
  other: Tensor | undefined,
  dgate?: Tensor,
): Tensor {
  const { tensor, first, firstRow = 0 } = columns,
    name = backward ? 'gate_backward' : 'gate';
  const fits = tensor.type === x.type && tensor.rows >= firstRow + x.rows && tensor.cols >= first + x.cols;
  checkShape(fits, name, `a gate ${x.type}[${firstRow + x.rows}, ${first + x.cols}] or larger`, x, tensor);
  if (other) {
    const same = other.rows === x.rows && other.cols === x.cols && other.type === x.type;
    checkShape(same, name, `${backward ? 'dy' : 'a residual'} of x's shape and type`, x, other);
  }
  if (dgate) {
    const same = dgate.type === tensor.type && dgate.rows === tensor.rows && dgate.cols === tensor.cols;
    checkShape(same, name, "a gradient of the gate's shape and type", tensor, dgate);
  }
  const y = p.tensor(name, x.type, x.shape),
    read = other ? [x, tensor, other] : [x, tensor],
    write = dgate ? [y, dgate] : [y];
  p.operation({
    name,
    source: gateWgsl,
    read,
    write,
    ...elementwise(
      p,
      x.rows * (x.pitch / 4),
      {
        x: x.type,
        backward,
        other: other !== undefined,
        out: read.length,
        dgate: dgate ? read.length + 1 : 0,
        uniforms: read.length + write.length,
      },
      [x.pitch / 4, tensor.pitch / 4, (firstRow * tensor.pitch + first) / 4],
    ),
    gradient: (d) => {
      if (other) p.tape!.give(other, d);
      p.tape!.give(x, gateBackward(p, x, columns, d, sharedGradient(p, tensor)));
    },
  });
  return y;
}
