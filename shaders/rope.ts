import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { check_shape, grid, quads } from './common.ts';
import rope_wgsl from './rope.wgsl';
import type { LayerCache, Sequences } from './sequences.ts';

/** Heads of grouped-query attention; each is padded to whole quads in memory. */
export interface Heads {
  heads: number;
  kv_heads: number;
  head_dim: number;
}

/**
 * Rotary position embedding at each branch's position; keys and values go to the cache.
 * @param qkv [branches × count, (heads + 2 kv_heads) × head_dim in whole quads]
 * @param inverse_frequency f32 [head_dim / 2]
 * @returns the rotated queries [branches × count, heads × head_dim in whole quads]
 */
export function rope(p: Recorder, qkv: Tensor, inverse_frequency: Tensor, cache: LayerCache, seq: Sequences, { heads, kv_heads, head_dim }: Heads): Tensor {
  const head_quads = quads(head_dim), row_quads = (heads + 2 * kv_heads) * head_quads;
  check_shape(qkv.pitch === 4 * row_quads && qkv.rows % seq.branches === 0, 'rope', `qkv [${seq.branches} × count, ${4 * row_quads}]`, qkv);
  check_shape(head_dim % 2 === 0 && inverse_frequency.cols === head_dim / 2, 'rope', `an even head_dim, half as many frequencies`, qkv, inverse_frequency);
  for (const t of [cache.k, cache.v]) {
    check_shape(t.type === qkv.type && t.pitch === 4 * kv_heads * head_quads && t.rows % seq.capacity === 0, 'rope', `k and v ${qkv.type}[branches × ${seq.capacity}, ${4 * kv_heads * head_quads}]`, qkv, cache.k, cache.v);
  }
  const q = p.tensor('q', qkv.type, [qkv.rows, 4 * heads * head_quads]);
  p.dispatch({
    name: 'rope', source: rope_wgsl, constants: { x: qkv.type }, read: [qkv, inverse_frequency, seq.position], write: [q, cache.k, cache.v],
    uniforms: [qkv.rows / seq.branches, seq.first ?? 0, qkv.rows, heads, kv_heads, head_quads, head_dim, seq.capacity],
    workgroups: grid(p, qkv.rows * row_quads, 32),
  });
  return q;
}
