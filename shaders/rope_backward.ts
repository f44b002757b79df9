import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise, quads } from './common.ts';
import type { Heads } from './rope.ts';
import ropeBackwardWgsl from './rope_backward.wgsl';
import type { LayerCache, Sequences } from './sequences.ts';

/** What `rope` and its way back tell their kernels of the sizes. */
export const ropeSizes = (qkv: Tensor, seq: Sequences, { heads, kvHeads, headDim }: Heads): number[] => [
  qkv.rows / seq.branches,
  seq.first ?? 0,
  heads,
  kvHeads,
  quads(headDim),
  headDim,
  seq.capacity,
];

/**
 * What leads back from `rope`, at the position at which it ran.
 * @param qkv [branches × count, (heads + 2 kvHeads) × headDim in whole quads], what `rope` took
 * @param dq of the rotated queries' shape and qkv's type; absent: nothing came back to them
 * @param dcache gradients of the cache's keys and values, of their shape: the rows that `rope` wrote are used up and zeroed
 * @returns dqkv, of qkv's shape and type
 */
export function ropeBackward(
  p: Recorder,
  qkv: Tensor,
  inverseFrequency: Tensor,
  dq: Tensor | undefined,
  dcache: LayerCache,
  seq: Sequences,
  { heads, kvHeads, headDim }: Heads,
): Tensor {
  const headQuads = quads(headDim),
    { k: dk, v: dv } = dcache;
  checkShape(
    qkv.pitch === 4 * (heads + 2 * kvHeads) * headQuads &&
      (!dq || (dq.pitch === 4 * heads * headQuads && dq.rows === qkv.rows && dq.type === qkv.type)),
    'rope_backward',
    `qkv and dq of one type, [rows, ${4 * (heads + 2 * kvHeads) * headQuads}] and [rows, ${4 * heads * headQuads}]`,
    qkv,
    dq ?? qkv,
  );
  checkShape(
    dk.pitch === 4 * kvHeads * headQuads && dv.pitch === dk.pitch && dk.type === dv.type && dk !== dv,
    'rope_backward',
    `dk and dv [branches × ${seq.capacity}, ${4 * kvHeads * headQuads}], each of its own`,
    dk,
    dv,
  );
  const dqkv = p.tensor('dqkv', qkv.type, qkv.shape),
    read = dq ? [inverseFrequency, seq.position, dq] : [inverseFrequency, seq.position],
    out = read.length;
  p.operation({
    name: 'rope_backward',
    source: ropeBackwardWgsl,
    read,
    write: [dqkv, dk, dv],
    ...elementwise(
      p,
      qkv.rows * (heads + 2 * kvHeads),
      { x: qkv.type, g: dk.type, dq: dq ? 2 : 0, out, dk: out + 1, dv: out + 2, uniforms: out + 3 },
      ropeSizes(qkv, seq, { heads, kvHeads, headDim }),
    ),
  });
  return dqkv;
}
