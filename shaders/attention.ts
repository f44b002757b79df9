import type { Device } from '../engine/device.ts';
import type { Candidate, Recorder } from '../engine/program.ts';
import { type ElementType, elementBytes, f32Bits, type Tensor } from '../engine/tensor.ts';
import attentionWgsl from './attention.wgsl';
import { attentionBackward } from './attention_backward.ts';
import attentionMergeWgsl from './attention_merge.wgsl';
import attentionRowWgsl from './attention_row.wgsl';
import attentionTileWgsl from './attention_tile.wgsl';
import { checkShape, quads } from './common.ts';
import { narrowSubgroup, registers, several, sharing } from './gpu.ts';
import type { Heads } from './rope.ts';
import type { LayerCache, Sequences } from './sequences.ts';

/**
 * Grouped-query attention of new tokens over the cache, themselves included (spec section 3.6).
 * @param q [branches × count, heads × headDim in whole quads], rotated; their keys and values are in the cache already
 * @param causal text: each token sees up to itself; else (an image's tokens) also each other
 * @param together an image's tokens, whose keys are in the cache, where only some of their queries are given
 * @returns [branches × count, heads × headDim in whole quads]
 */
export function gqa(
  p: Recorder,
  q: Tensor,
  cache: LayerCache,
  seq: Sequences,
  heads: Heads,
  causal: boolean,
  together?: number,
): Tensor {
  const d = 4 * quads(heads.headDim);
  checkShape(
    q.pitch === heads.heads * d && cache.k.pitch === heads.kvHeads * d && cache.v.pitch === cache.k.pitch,
    'gqa',
    `q [rows, ${heads.heads * d}], k and v [rows, ${heads.kvHeads * d}]`,
    q,
    cache.k,
    cache.v,
  );
  return dispatch(p, 'gqa', heads, seq.branches, q.rows / seq.branches, {
    q,
    k: cache.k,
    v: cache.v,
    position: seq.position,
    branch: seq.first ?? 0,
    causal,
    together,
    cached: true,
    capacity: seq.capacity,
    first: { q: 0, k: 0, v: 0 },
    pitch: cache.k.pitch,
  });
}

/**
 * Full attention within each of some pictures (the EmbeddingViT's, the image tokenizer's).
 * @param qkv [pictures × rows, 3 × heads × headDim in whole quads], q, k and v side by side
 * @returns [pictures × rows, heads × headDim in whole quads]
 */
export function selfAttention(p: Recorder, qkv: Tensor, heads: number, headDim: number, pictures = 1): Tensor {
  const width = heads * quads(headDim);
  checkShape(qkv.pitch === 12 * width, 'self_attention', `qkv [rows, ${12 * width}]`, qkv);
  return dispatch(p, 'self_attention', { heads, kvHeads: heads, headDim }, pictures, qkv.rows / pictures, {
    q: qkv,
    k: qkv,
    v: qkv,
    position: qkv,
    branch: 0,
    causal: false,
    cached: false,
    capacity: qkv.rows / pictures,
    first: { q: 0, k: width, v: 2 * width },
    pitch: qkv.pitch,
  });
}

/** How attention's operands lie. */
export interface AttentionOperands {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  position: Tensor;
  branch: number;
  causal: boolean;
  /** Tokens that see each other where it is not causal; the queries unless given. */
  together?: number;
  /** Whether keys before these queries are kept, `position` of them. */
  cached: boolean;
  /** Rows of k and v from one branch to the next. */
  capacity: number;
  /** Quads of a row at which q, k and v begin. */
  first: { q: number; k: number; v: number };
  /** Elements from one row of k or v to the next. */
  pitch: number;
}

/**
 * Where hardware has at most so many queries a branch, such as a decoded token, over room for more keys than a chunk, it takes
 * a workgroup for each chunk of keys. A sum's order depends on the keys that a query sees, not on the room: of one chunk it is
 * that of the other kernels.
 */
const mostSplitQueries = 8,
  chunkKeys = 256;

function dispatch(
  p: Recorder,
  name: string,
  shape: Heads,
  branches: number,
  count: number,
  o: AttentionOperands,
): Tensor {
  const { heads, kvHeads, headDim } = shape,
    d = quads(headDim);
  checkShape(heads % kvHeads === 0, name, `heads (${heads}) a multiple of kv heads (${kvHeads})`, o.q, o.k);
  checkShape(
    Number.isInteger(count) && o.q.type === o.k.type && o.q.type === o.v.type,
    name,
    `q [${branches} × count, …], k and v of its type`,
    o.q,
    o.k,
    o.v,
  );
  const { together = count } = o;
  const y = p.tensor(name, o.q.type, [o.q.rows, 4 * heads * d]),
    inputs = [...new Set([o.q, o.k, o.v])];
  const terms = inputs.some((t) => p.tape?.wants(t))
    ? p.tensor('attention terms', 'f32', [y.rows, 2 * heads])
    : undefined;
  const uniforms = [
    count,
    o.branch,
    heads / kvHeads,
    Number(o.causal),
    o.q.pitch / 4,
    o.first.q,
    o.pitch / 4,
    o.first.k,
    o.first.v,
    o.capacity,
    y.pitch / 4,
    Number(o.cached),
    d,
    f32Bits(1 / Math.sqrt(headDim)),
    terms?.pitch ?? 0,
    together,
  ];
  const common = { label: name, read: [o.q, o.k, o.v, o.position] };
  if (!p.device.software && count <= mostSplitQueries && o.capacity > chunkKeys && !terms) {
    const chunks = Math.ceil(o.capacity / chunkKeys),
      parts = p.tensor('attention chunks', 'f32', [y.rows, heads * chunks * 4 * (d + 1)]);
    p.operation({
      ...common,
      name: 'attention_chunks',
      source: attentionRowWgsl,
      constants: { x: o.q.type, y: 'f32', d, terms: false, uniforms: 5, exp: 'exp', chunk: chunkKeys },
      write: [parts],
      uniforms: [...uniforms, chunks],
      workgroups: [count, heads, branches * chunks],
    });
    p.operation({
      label: name,
      name: 'attention_merge',
      source: attentionMergeWgsl,
      constants: { x: o.q.type },
      read: [parts],
      write: [y],
      uniforms: [chunks, heads, d, y.pitch / 4],
      workgroups: [y.rows, heads],
    });
    return y;
  }
  p.operation({
    ...common,
    name: 'attention',
    shape: { count, heads, kvHeads, d, x: o.q.type, causal: String(o.causal) },
    write: terms ? [y, terms] : [y],
    uniforms: [...uniforms, 1],
    candidates: candidates(p.device, o.q.type, { d, count, together, heads, kvHeads, branches }, terms !== undefined),
    inputs,
    gradient: (dy) => {
      const gradients = attentionBackward(p, o, { ...shape, branches, count }, y, terms!, dy);
      for (const [t, g] of gradients) p.tape!.give(t, g);
    },
  });
  return y;
}

interface Sizes {
  d: number;
  count: number;
  together: number;
  heads: number;
  kvHeads: number;
  branches: number;
}

/**
 * What may run, the best by rule first, all with the same bits: software takes a thread a query, or a workgroup a query
 * where these are few or wide; hardware has exp of its own, and tiles where queries are many.
 */
function candidates(
  device: Device,
  x: ElementType,
  { d, count, together, heads, kvHeads, branches }: Sizes,
  terms: boolean,
): Candidate[] {
  const exp = device.software ? 'exp_' : 'exp',
    common = { x, y: x, d, terms, uniforms: terms ? 6 : 5 };
  const row: Candidate = {
    variant: 'row',
    source: attentionRowWgsl,
    constants: { ...common, exp, chunk: 0 },
    workgroups: [count, heads, branches],
  };
  const byQuery = (variant: string, lanes: number, each = 1): Candidate => ({
    variant,
    source: attentionWgsl,
    constants: { ...common, lanes, each, ...sharing(device, lanes, d) },
    workgroups: [Math.ceil(count / lanes / each), heads, branches],
  });
  /** `wide`: keys and values staged as f32, which takes more workgroup memory and fewer instructions. */
  const tile = (tile_m: number, wide: boolean): Candidate & { bytes: number } => ({
    variant: `tile_${tile_m}${wide ? '_wide' : ''}`,
    source: attentionTileWgsl,
    constants: { ...common, exp, tile_m, tile_n: Math.ceil(d / 8), wide, subgroup: narrowSubgroup(device) },
    workgroups: [Math.ceil((count * heads) / kvHeads / (8 * tile_m)), kvHeads, branches],
    bytes: 4 * (d + 1) * (8 * tile_m * elementBytes(x) + 32 * (wide ? 4 : elementBytes(x))) + 8 * tile_m * 9 * 16,
  });
  if (device.software && together >= 4 && d <= 16)
    return [
      ...several(device, 8, d, count, heads * branches)
        .slice(0, 2)
        .map((each) => byQuery(`query_x${each}`, 8, each)),
      byQuery('query', 8),
      byQuery('query_4', 4),
      byQuery('query_32', 32),
    ];
  const tiles = [1, 2, 4].flatMap((tile_m) =>
    (x === 'bf16' ? [false, true] : [false]).map((wide) => tile(tile_m, wide)),
  );
  const fits = tiles.filter(({ bytes }) => d <= 32 && bytes <= device.limits.maxComputeWorkgroupStorageSize);
  const room = registers(device),
    most = { many: 4, half: d > 16 ? 2 : 4, some: 2, few: 1 }[room],
    wide = room === 'half' || room === 'some';
  // Of the tiles that registers allow the largest, and these before larger ones.
  const rank = ({ constants }: Candidate): number =>
    (Number(constants.tile_m) > most ? 8 : 4) - Number(constants.tile_m) + (Boolean(constants.wide) === wide ? 0 : 0.5);
  const tiled = fits.sort((a, b) => rank(a) - rank(b)).map(({ bytes: _, ...rest }) => rest);
  // Software takes seconds to compile the tiles' barriers, more than they save on few rows.
  const few = count < 4 || (device.software && count * heads * branches <= 256);
  return few ? [row, ...tiled] : [...tiled, row];
}
