import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise, quads } from './common.ts';
import ropeWgsl from './rope.wgsl';
import { ropeBackward, ropeSizes } from './rope_backward.ts';
import type { LayerCache, Sequences } from './sequences.ts';
import { zeros } from './zeros.ts';

/** Heads of grouped-query attention; each is padded to whole quads in memory. */
export interface Heads {
  heads: number;
  kvHeads: number;
  headDim: number;
}

/**
 * Rotary position embedding at each branch's position; keys and values go to the cache.
 * @param qkv [branches × count, (heads + 2 kvHeads) × headDim in whole quads]
 * @param inverseFrequency f32 [headDim / 2]
 * @param into where to write the queries; a new tensor unless given
 * @returns the rotated queries [branches × count, heads × headDim in whole quads]
 */
export function rope(
  p: Recorder,
  qkv: Tensor,
  inverseFrequency: Tensor,
  cache: LayerCache,
  seq: Sequences,
  { heads, kvHeads, headDim }: Heads,
  into?: Tensor,
): Tensor {
  const headQuads = quads(headDim),
    rowQuads = (heads + 2 * kvHeads) * headQuads;
  checkShape(
    qkv.pitch === 4 * rowQuads && qkv.rows % seq.branches === 0,
    'rope',
    `qkv [${seq.branches} × count, ${4 * rowQuads}]`,
    qkv,
  );
  checkShape(
    headDim % 2 === 0 && inverseFrequency.cols === headDim / 2,
    'rope',
    `an even head_dim, half as many frequencies`,
    qkv,
    inverseFrequency,
  );
  for (const t of [cache.k, cache.v]) {
    checkShape(
      t.type === qkv.type && t.pitch === 4 * kvHeads * headQuads && t.rows % seq.capacity === 0,
      'rope',
      `k and v ${qkv.type}[branches × ${seq.capacity}, ${4 * kvHeads * headQuads}]`,
      qkv,
      cache.k,
      cache.v,
    );
  }
  const q = into ?? p.tensor('q', qkv.type, [qkv.rows, 4 * heads * headQuads]);
  p.operation({
    name: 'rope',
    source: ropeWgsl,
    read: [qkv, inverseFrequency, seq.position],
    write: [q, cache.k, cache.v],
    ...elementwise(
      p,
      qkv.rows * rowQuads,
      { x: qkv.type, whole: headDim % 8 === 0 }, // where half a head is whole quads, a quad meets one other
      ropeSizes(qkv, seq, { heads, kvHeads, headDim }),
    ),
    inputs: [qkv],
    gradient: () => {
      const tape = p.tape!,
        of = (t: Tensor): Tensor => tape.gradient(t) ?? zeros(p, p.tensor('no gradient', 'f32', t.shape));
      const dcache = { k: of(cache.k), v: of(cache.v) };
      tape.give(
        qkv,
        ropeBackward(p, qkv, inverseFrequency, tape.gradient(q), dcache, seq, { heads, kvHeads, headDim }),
      );
    },
  });
  return q;
}
