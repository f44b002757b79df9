import type { Recorder } from '../engine/program.ts';
import { type ElementType, f32Bits, type Tensor } from '../engine/tensor.ts';
import type { AttentionOperands } from './attention.ts';
import keysWgsl from './attention_backward_kv.wgsl';
import queriesWgsl from './attention_backward_q.wgsl';
import termsWgsl from './attention_backward_terms.wgsl';
import { checkShape, elementwise, quads } from './common.ts';
import { several, sharing } from './gpu.ts';
import type { Heads } from './rope.ts';

/**
 * What leads back from attention, whose softmax is computed anew from what the forward pass kept of each row's sum.
 * @param shape `count` queries in each of `branches`
 * @param y what the forward pass gave
 * @param terms f32 [rows, 2 × heads]: the log of each softmax's sum, of which this leaves y · dy beside it
 * @param dy of y's shape and type
 * @returns each operand's gradient, of its shape: that of a cache in f32, zeros where no query sees its rows; those of one
 * tensor that holds q, k and v in one
 */
export function attentionBackward(
  p: Recorder,
  o: AttentionOperands,
  shape: Heads & { branches: number; count: number },
  y: Tensor,
  terms: Tensor,
  dy: Tensor,
): [Tensor, Tensor][] {
  const { heads, kvHeads, headDim, branches, count } = shape,
    d = quads(headDim);
  const fits = dy.type === y.type && dy.rows === y.rows && dy.cols === y.cols;
  checkShape(fits, 'attention_backward', "dy of y's shape and type", y, dy);
  p.operation({
    name: 'attention_terms',
    source: termsWgsl,
    read: [y, dy],
    write: [terms],
    ...elementwise(p, y.rows * heads, { x: y.type }, [heads, d, terms.pitch]),
  });
  const apart = o.k !== o.v,
    like = (name: string, t: Tensor, type: ElementType): Tensor => p.tensor(name, type, t.shape);
  const dq = like('attention dq', o.q, o.q.type),
    dk = apart ? like('attention dk', o.k, 'f32') : dq,
    dv = apart ? like('attention dv', o.v, 'f32') : dq;
  const read = [o.q, o.k, o.v, o.position, dy, terms],
    lanes = p.device.software ? 8 : 32;
  const uniforms = [
    count,
    o.branch,
    branches,
    heads / kvHeads,
    Number(o.causal),
    Number(o.cached),
    o.capacity,
    o.q.pitch / 4,
    o.first.q,
    o.pitch / 4,
    o.first.k,
    o.first.v,
    y.pitch / 4,
    terms.pitch,
    dq.pitch / 4,
    dk.pitch / 4,
    o.first.k,
    o.first.v,
    f32Bits(1 / Math.sqrt(headDim)),
  ];
  // A key keeps four vectors of a head at hand, a query three.
  const [queries = 1] = several(p.device, lanes, d, count, heads * branches),
    [keys = 1] = several(p.device, lanes, d, o.capacity, kvHeads * branches, 32),
    constants = { x: o.q.type, d, lanes, ...sharing(p.device, lanes, d) };
  p.operation({
    name: 'attention_backward_q',
    source: queriesWgsl,
    constants: { ...constants, each: queries, several: queries > 1 },
    read,
    write: [dq],
    uniforms,
    workgroups: [Math.ceil(count / lanes / queries), heads, branches],
  });
  p.operation({
    name: 'attention_backward_kv',
    source: keysWgsl,
    constants: { ...constants, each: keys, several: keys > 1, g: dk.type, apart, uniforms: apart ? 8 : 7 },
    read,
    write: apart ? [dk, dv] : [dk],
    uniforms,
    workgroups: [Math.ceil(o.capacity / lanes / keys), kvHeads, o.k.rows / o.capacity],
  });
  return apart
    ? [
        [o.q, dq],
        [o.k, dk],
        [o.v, dv],
      ]
    : [[o.q, dq]];
}
