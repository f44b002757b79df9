// The forward pass at true shapes, layer by layer: every layer's operations on the device, from what the device gave the
// layer, against a plain f64 computation of sampled rows, heads and columns. MMAR_LARGE names the checkpoint's folder.
import { Device } from '../../engine/device.ts';
import type { Dispatch, Recorder } from '../../engine/program.ts';
import { packRows, type Tensor } from '../../engine/tensor.ts';
import { type Checkpoint, openCheckpoint } from '../../loaders/checkpoint.ts';
import { compose } from '../../loaders/compose.ts';
import { toF32 } from '../../loaders/safetensors.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { withSettings } from '../../model/overrides.ts';
import type { MMARSystem } from '../../model/variants/index.ts';
import { nodePlatform } from '../../platform/node.ts';
import { nodeAdapter } from '../../platform/node_gpu.ts';
import { advance } from '../../shaders/advance.ts';
import { gatherRows } from '../../shaders/gather_rows.ts';

type Values = ArrayLike<number>;

const bound = 5e-5; // of the difference, relative to the root mean square of what it is compared with
const { adapter, name } = await nodeAdapter(process.env.MMAR_ADAPTER),
  device = await Device.open(adapter);
let checkpoint: Checkpoint = await openCheckpoint(nodePlatform.source(process.env.MMAR_LARGE!));
const layers = process.env.MMAR_LAYERS;
if (layers)
  checkpoint = await compose(checkpoint, { config: (json) => withSettings(json, { 'llm.num_hidden_layers': layers }) });
const model = await loadMMAR(checkpoint, { device, precision: 'f32' }),
  parts = model.system as MMARSystem,
  { config } = parts;
const { llm, vit, diffusion, image_tokenizer } = parts,
  L = config.image_tokens,
  H = config.llm.hidden_size,
  eps = config.llm.rms_norm_eps;
console.log(
  `${name}: ${process.env.MMAR_LARGE}, ${(parts.weights.bytes / 1e9).toFixed(2)} GB of weights, activations f32`,
);

// Plain f64.

const cache = new Map<string, Float32Array>();

/** Rows `rows` of a tensor of the file, or a whole vector. */
async function weight(tensor: string, row?: number): Promise<Float32Array> {
  const key = `${tensor} ${row}`,
    { entry } = checkpoint.place(tensor),
    cols = row === undefined ? entry.shape.reduce((a, b) => a * b, 1) : entry.shape.slice(1).reduce((a, b) => a * b, 1);
  let found = cache.get(key);
  if (!found) {
    const bytes = new Uint8Array(cols * 2);
    await checkpoint.read(tensor, (row ?? 0) * cols * 2, bytes);
    found = toF32(entry, bytes);
    cache.set(key, found);
  }
  return found;
}

function dot(a: Values, b: Values, n = a.length): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

const rowOf = (x: Values, r: number, cols: number): Float64Array =>
  Float64Array.from({ length: cols }, (_, c) => x[r * cols + c]);

async function rms(x: Float64Array, tensor: string): Promise<Float64Array> {
  const w = await weight(tensor),
    scale = 1 / Math.sqrt(dot(x, x) / x.length + eps);
  return x.map((v, i) => v * scale * w[i]);
}

function normal(x: Float64Array): Float64Array {
  const mean = x.reduce((a, b) => a + b, 0) / x.length,
    variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  return x.map((v) => (v - mean) / Math.sqrt(variance + 1e-6));
}

async function layerNorm(x: Float64Array, prefix: string): Promise<Float64Array> {
  const w = await weight(`${prefix}.weight`),
    b = await weight(`${prefix}.bias`);
  return normal(x).map((v, i) => v * w[i] + b[i]);
}

/** Output columns `columns` of a linear layer, PLoRA's part too for image tokens. */
async function linear(prefix: string, x: Float64Array, columns: number[], lora = false): Promise<Float64Array> {
  const bias = checkpoint.tensors.has(`${prefix}.bias`) ? await weight(`${prefix}.bias`) : undefined,
    { rank, alpha } = config.plora;
  const a = lora ? await weight(`${prefix}.lora_A.weight`) : undefined,
    low = a && Float64Array.from({ length: rank }, (_, r) => dot(x, a.subarray(r * x.length, (r + 1) * x.length)));
  const out = new Float64Array(columns.length);
  for (const [i, c] of columns.entries()) {
    out[i] =
      dot(x, await weight(`${prefix}.weight`, c)) +
      (bias?.[c] ?? 0) +
      (low ? (alpha / rank) * dot(low, await weight(`${prefix}.lora_B.weight`, c)) : 0);
  }
  return out;
}

function rotate(x: Float64Array, position: number): Float64Array {
  const half = x.length / 2;
  return x.map((v, i) => {
    const angle = position / config.llm.rope_theta ** ((2 * (i % half)) / x.length);
    return v * Math.cos(angle) + (i < half ? -x[i + half] : x[i - half]) * Math.sin(angle);
  });
}

/** One query over keys and values. */
function attend(q: Float64Array, keys: Float64Array[], values: Float64Array[]): Float64Array {
  const scores = keys.map((k) => dot(q, k) / Math.sqrt(q.length)),
    most = Math.max(...scores),
    weights = scores.map((s) => Math.exp(s - most));
  const total = weights.reduce((a, b) => a + b, 0);
  return q.map((_, i) => values.reduce((sum, v, j) => sum + (weights[j] / total) * v[i], 0));
}

const silu = (x: number): number => x / (1 + Math.exp(-x));
/** erf by its series, and by its continued fraction where that converges. */
function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x < 3) {
    let term = x,
      sum = x;
    for (let n = 1; n < 80; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (x + fraction);
  return 1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}
const gelu = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));

const range = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);
/** `n` columns spread over all `of` them, the first and the last among them. */
const spread = (of: number, n: number): number[] => range(0, n).map((i) => Math.floor((i * (of - 1)) / (n - 1)));
const pick = (x: Values, row: number, cols: number, columns: number[]): number[] =>
  columns.map((c) => x[row * cols + c]);

let checks = 0,
  failures = 0;
const worst: Record<string, number> = {};
function compare(kind: string, where: string, got: Values, want: Values): void {
  const size = Math.sqrt(dot(want, want) / want.length);
  let most = 0;
  for (let i = 0; i < want.length; i++)
    most = Math.max(most, got[i] === want[i] ? 0 : Math.abs(got[i] - want[i]) / size);
  checks++;
  worst[kind] = Math.max(worst[kind] ?? 0, most);
  if (most <= bound && got.length === want.length) return;
  failures++;
  console.log(`✘ ${kind} ${where}: off by ${most.toExponential(2)} of its root mean square, over ${bound}`);
}

// What the device gave: results of the recorded dispatches, by name, in their order.

async function run(
  record: (p: Recorder) => Record<string, Tensor>,
  wanted: (d: Dispatch) => boolean,
): Promise<Record<string, Float32Array>> {
  return device.evaluate('large', (p) => {
    const kept = record(p),
      seen = new Map<string, number>(),
      tensors = new Set(Object.values(kept));
    for (const d of p.dispatches) {
      const made = d.write[0];
      if (!wanted(d) || tensors.has(made) || !made.pieces.every((piece) => p.made.has(piece))) continue;
      tensors.add(made);
      const key = d.label,
        n = seen.get(key) ?? 0;
      seen.set(key, n + 1);
      kept[`${key} ${n}`] = made;
    }
    return kept;
  });
}

function numbers(n: number, seed: number): Float64Array {
  let state = seed;
  return Float64Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function upload(type: 'f32' | 'u32', shape: number[], values: Values): Tensor {
  const tensor = device.tensor('test', type, shape);
  device.write(tensor, packRows(type, tensor.cols, values));
  return tensor;
}

async function checkLLM(): Promise<void> {
  const { heads, kvHeads, headDim } = llm.heads,
    text = 24,
    ids = range(0, text).map((i) => (i * 6211 + 17) % llm.vocab_size),
    I = config.llm.intermediate_size;
  ids[3] = llm.vocab_size - 1;
  const context = llm.context(device, 1, text + L),
    image = upload('f32', [L, H], numbers(L * H, 5)),
    lastRow = upload('u32', [1], [L - 1]);
  device.write(context.ids, packRows('u32', context.ids.cols, [...ids, ...range(0, L).fill(0)]));
  const out = await run(
    (p) => {
      const embedded = llm.embedTokens(p, context, text),
        first = llm.forward(p, embedded, context, 'text');
      advance(p, context.position, text);
      const second = llm.forward(p, image, context, 'image'),
        logits = llm.logits(p, gatherRows(p, second, lastRow));
      return { embedded, first, second, logits };
    },
    (d) => /o_proj$|down_proj$|^gqa$|^swiglu$/.test(d.label),
  );
  const imageX = await device.read(image),
    embed = await weight('llm.model.embed_tokens.weight', ids[3]);
  compare('embedding', 'row 3', rowOf(out.embedded, 3, H), embed);

  const samples = [
    { span: 0, row: 0 },
    { span: 0, row: text - 1 },
    { span: 1, row: 0 },
    { span: 1, row: L - 1 },
  ];
  let x = [out.embedded, imageX];
  for (let i = 0; i < config.llm.num_hidden_layers; i++) {
    const l = `llm.model.layers.${i}`,
      bySpan = (n: string) => [out[`${n} 0`], out[`${n} 1`]],
      counts = [text, L];
    const gqa = [out[`gqa ${i}`], out[`gqa ${i + config.llm.num_hidden_layers}`]],
      gated = [out[`swiglu ${i}`], out[`swiglu ${i + config.llm.num_hidden_layers}`]];
    const middle = bySpan(`${l}.self_attn.o_proj`),
      next = bySpan(`${l}.mlp.down_proj`),
      head = (i * 5) % heads,
      kv = Math.floor(head / (heads / kvHeads));
    const qColumns = range(head * headDim, headDim),
      kvColumns = range(kv * headDim, headDim),
      keys: Float64Array[] = [],
      values: Float64Array[] = [];
    for (const span of [0, 1]) {
      for (let r = 0; r < counts[span]; r++) {
        const inner = await rms(rowOf(x[span], r, H), `${l}.input_layernorm.weight`);
        keys.push(rotate(await linear(`${l}.self_attn.k_proj`, inner, kvColumns, span === 1), span * text + r));
        values.push(await linear(`${l}.self_attn.v_proj`, inner, kvColumns, span === 1));
      }
    }
    for (const { span, row } of samples) {
      const lora = span === 1,
        where = `layer ${i}, ${span ? 'image' : 'text'} row ${row}`,
        sees = span ? text + L : row + 1,
        xRow = rowOf(x[span], row, H);
      const q = rotate(
        await linear(`${l}.self_attn.q_proj`, await rms(xRow, `${l}.input_layernorm.weight`), qColumns, lora),
        span * text + row,
      );
      compare(
        'attention',
        `${where}, head ${head}`,
        pick(gqa[span], row, H, qColumns),
        attend(q, keys.slice(0, sees), values.slice(0, sees)),
      );
      const columns = spread(H, 24),
        o = await linear(`${l}.self_attn.o_proj`, rowOf(gqa[span], row, H), columns, lora);
      compare(
        'o_proj',
        where,
        pick(middle[span], row, H, columns),
        o.map((v, j) => v + xRow[columns[j]]),
      );
      const wide = spread(I, 24),
        inner = await rms(rowOf(middle[span], row, H), `${l}.post_attention_layernorm.weight`);
      const gate = await linear(`${l}.mlp.gate_proj`, inner, wide, lora),
        up = await linear(`${l}.mlp.up_proj`, inner, wide, lora);
      compare(
        'SwiGLU',
        where,
        pick(gated[span], row, I, wide),
        gate.map((g, j) => silu(g) * up[j]),
      );
      const down = await linear(`${l}.mlp.down_proj`, rowOf(gated[span], row, I), columns, lora);
      compare(
        'down_proj',
        where,
        pick(next[span], row, H, columns),
        down.map((v, j) => v + middle[span][row * H + columns[j]]),
      );
    }
    x = next;
    cache.clear();
  }
  for (const { span, row } of samples) {
    compare(
      'final norm',
      `${span} ${row}`,
      rowOf([out.first, out.second][span], row, H),
      await rms(rowOf(x[span], row, H), 'llm.model.norm.weight'),
    );
  }
  const columns = spread(llm.vocab_size, 200),
    want = new Float64Array(columns.length),
    last = rowOf(out.second, L - 1, H);
  const table = config.llm.tie_word_embeddings ? 'llm.model.embed_tokens.weight' : 'llm.lm_head.weight';
  for (const [i, c] of columns.entries()) want[i] = dot(last, await weight(table, c));
  compare(
    'logits',
    'last row',
    columns.map((c) => out.logits[c]),
    want,
  );
}

async function checkViT(): Promise<void> {
  const { width: W, heads, depth } = config.embedding_vit,
    dim = W / heads,
    d = config.image_tokenizer.embed_dim,
    tokens = upload('f32', [L, d], numbers(L * d, 7));
  const mask = upload(
      'u32',
      [L],
      range(0, L).map((i) => (i % 3) & 1),
    ),
    F = W * config.embedding_vit.mlp_ratio;
  const out = await run(
    (p) => ({ visual: vit.forward(p, tokens, mask) }),
    (d) => /self_attention|attn\.proj$|fc[12]$|mask_tokens|vis_projector|post_projector/.test(d.label),
  );
  const t = await device.read(tokens),
    rows = [0, 1, L - 1];
  let x = out['mask_tokens 0'];
  for (const r of rows) {
    const hidden = (await linear('post_projector.0', rowOf(t, r, d), range(0, W))).map(gelu),
      projected = await linear('post_projector.2', hidden, range(0, W));
    const token = (r % 3) & 1 ? await weight('embedding_vit.mask_token') : projected,
      position = await weight('embedding_vit.pos_embed');
    compare(
      'PostProjector',
      `row ${r}`,
      rowOf(x, r, W),
      projected.map((_, c) => token[c] + position[r * W + c]),
    );
  }
  for (let i = 0; i < depth; i++) {
    const b = `embedding_vit.blocks.${i}`,
      attention = out[`self_attention ${i}`],
      middle = out[`${b}.attn.proj 0`],
      wide = out[`${b}.mlp.fc1 0`],
      next = out[`${b}.mlp.fc2 0`],
      head = (i * 3) % heads;
    const normed: Float64Array[] = [],
      columns = (part: number) => range(part * W + head * dim, dim);
    for (let r = 0; r < L; r++) normed.push(await layerNorm(rowOf(x, r, W), `${b}.norm1`));
    const keys: Float64Array[] = [],
      values: Float64Array[] = [];
    for (const row of normed) {
      keys.push(await linear(`${b}.attn.qkv`, row, columns(1)));
      values.push(await linear(`${b}.attn.qkv`, row, columns(2)));
    }
    for (const r of rows) {
      const some = spread(W, 24),
        many = spread(F, 24),
        where = `EmbeddingViT block ${i}, row ${r}`;
      compare(
        'ViT attention',
        where,
        pick(attention, r, W, columns(0)),
        attend(await linear(`${b}.attn.qkv`, normed[r], columns(0)), keys, values),
      );
      compare(
        'ViT proj',
        where,
        pick(middle, r, W, some),
        (await linear(`${b}.attn.proj`, rowOf(attention, r, W), some)).map((v, j) => v + x[r * W + some[j]]),
      );
      compare(
        'ViT fc1',
        where,
        pick(wide, r, F, many),
        (await linear(`${b}.mlp.fc1`, await layerNorm(rowOf(middle, r, W), `${b}.norm2`), many)).map(gelu),
      );
      compare(
        'ViT fc2',
        where,
        pick(next, r, W, some),
        (await linear(`${b}.mlp.fc2`, rowOf(wide, r, F), some)).map((v, j) => v + middle[r * W + some[j]]),
      );
    }
    x = next;
    cache.clear();
  }
  for (const r of rows) {
    const hidden = (
        await linear('vis_projector.0', await layerNorm(rowOf(x, r, W), 'embedding_vit.norm'), range(0, H))
      ).map(gelu),
      second = (await linear('vis_projector.2', hidden, range(0, H))).map(gelu);
    compare('VisProjector', `row ${r}`, rowOf(out.visual, r, H), await linear('vis_projector.4', second, range(0, H)));
  }
  cache.clear();
}

async function checkDiffusion(): Promise<void> {
  const { width: D, depth, mlp_ratio } = config.diffusion,
    n = 3,
    d = config.image_tokenizer.embed_dim,
    z = upload('f32', [n, H], numbers(n * H, 11)),
    x = upload('f32', [n, d], numbers(n * d, 12));
  const t = upload('u32', [n], [0, 500, 999]),
    zero = upload('u32', [1], [0]);
  const out = await run(
    (p) => {
      const times = diffusion.times(p, t),
        condition = diffusion.condition(p, z),
        modulation = diffusion.modulation(p, condition, times, zero, 1, 1);
      return { times, condition, modulation, out: diffusion.forward(p, x, modulation, 0) };
    },
    (d) => /res_blocks\.\d+\.mlp\.[02]$|input_proj$/.test(d.label),
  );
  const zs = await device.read(z),
    xs = await device.read(x),
    width = out.modulation.length / n,
    some = spread(D, 24),
    many = spread(D * mlp_ratio, 24);
  for (let r = 0; r < n; r++) {
    const frequencies = Float64Array.from({ length: 256 }, (_, k) =>
      (k < 128 ? Math.cos : Math.sin)([0, 500, 999][r] * Math.exp((-Math.log(10000) * (k % 128)) / 128)),
    );
    const hidden = (await linear('diffusion.time_embed.mlp.0', frequencies, range(0, D))).map(silu);
    compare(
      'time_embed',
      `row ${r}`,
      pick(out.times, r, D, some),
      await linear('diffusion.time_embed.mlp.2', hidden, some),
    );
    compare(
      'cond_embed',
      `row ${r}`,
      pick(out.condition, r, D, some),
      await linear('diffusion.cond_embed', rowOf(zs, r, H), some),
    );
    compare(
      'input_proj',
      `row ${r}`,
      pick(out['diffusion.input_proj 0'], r, D, some),
      await linear('diffusion.input_proj', rowOf(xs, r, d), some),
    );
    const y = rowOf(out.times, r, D).map((v, c) => silu(v + out.condition[r * D + c])),
      modulation = rowOf(out.modulation, r, width);
    let h = out['diffusion.input_proj 0'];
    for (let i = 0; i < depth; i++) {
      const b = `diffusion.res_blocks.${i}`,
        [first, second] = [out[`${b}.mlp.0 0`], out[`${b}.mlp.2 0`]],
        part = (k: number) => modulation.subarray((3 * i + k) * D, (3 * i + k + 1) * D),
        where = `block ${i}, row ${r}`;
      for (const k of [0, 1, 2])
        compare(
          'adaLN',
          where,
          some.map((c) => part(k)[c]),
          await linear(
            `${b}.adaLN_modulation.1`,
            y,
            some.map((c) => k * D + c),
          ),
        );
      const inner = (await layerNorm(rowOf(h, r, D), `${b}.in_ln`)).map((v, c) => v * (1 + part(1)[c]) + part(0)[c]);
      compare(
        'diffusion mlp.0',
        where,
        pick(first, r, D * mlp_ratio, many),
        (await linear(`${b}.mlp.0`, inner, many)).map(silu),
      );
      const before = h;
      compare(
        'diffusion mlp.2',
        where,
        pick(second, r, D, some),
        (await linear(`${b}.mlp.2`, rowOf(first, r, D * mlp_ratio), some)).map(
          (v, j) => before[r * D + some[j]] + part(2)[some[j]] * v,
        ),
      );
      h = second;
    }
    const shift = modulation.subarray(3 * depth * D, (3 * depth + 1) * D),
      scale = modulation.subarray((3 * depth + 1) * D, (3 * depth + 2) * D);
    const inner = normal(rowOf(h, r, D)).map((v, c) => v * (1 + scale[c]) + shift[c]);
    compare(
      'diffusion out',
      `row ${r}`,
      rowOf(out.out, r, d),
      await linear('diffusion.final_layer.linear', inner, range(0, d)),
    );
    cache.clear();
  }
}

/** Some of the decoder's convolutions, at pixels in the corners and inside: their input and output as the device had them. */
async function checkDecoder(): Promise<void> {
  const d = config.image_tokenizer.embed_dim,
    S = config.image_tokenizer.resolution,
    tokens = upload('f32', [L, d], numbers(L * d, 13)),
    wanted = /decoder\.(conv_in|up\.\d\.block\.0\.conv1|conv_out)\.weight$/;
  const found: { name: string; side: number; channels: number; x: string; y: string }[] = [];
  const out = await device.evaluate('decoder', (p) => {
    const kept: Record<string, Tensor> = { pixels: image_tokenizer.decode(p, tokens) };
    for (const {
      label: conv,
      read: [x],
      write: [y],
    } of p.dispatches) {
      if (!wanted.test(conv)) continue;
      found.push({
        name: conv.replace('.weight', ''),
        side: Math.sqrt(x.rows),
        channels: x.cols,
        x: `${conv} x`,
        y: y === kept.pixels ? 'pixels' : `${conv} y`,
      });
      kept[`${conv} x`] = x;
      if (y !== kept.pixels) kept[`${conv} y`] = y;
    }
    return kept;
  });
  for (const { name: conv, side, channels, x, y } of found) {
    const outs = out[y].length / side ** 2,
      columns = spread(outs, Math.min(outs, 8)),
      bias = await weight(`${conv}.bias`);
    for (const [row, col] of [
      [0, 0],
      [0, side - 1],
      [side - 1, side - 1],
      [side >> 1, side >> 2],
    ]) {
      const want = new Float64Array(columns.length);
      for (const [i, c] of columns.entries()) {
        const w = await weight(`${conv}.weight`, c);
        want[i] = bias[c];
        for (let tap = 0; tap < 9; tap++) {
          const r = row + Math.floor(tap / 3) - 1,
            k = col + (tap % 3) - 1;
          if (r >= 0 && k >= 0 && r < side && k < side)
            for (let n = 0; n < channels; n++) want[i] += out[x][(r * side + k) * channels + n] * w[n * 9 + tap];
        }
      }
      compare('decoder conv', `${conv} at ${row}, ${col}`, pick(out[y], row * side + col, outs, columns), want);
    }
  }
  if (found.length < 3 || out.pixels.length !== 3 * S * S)
    throw new Error(`the decoder's convolutions were not found: ${found.map((f) => f.name)}`);
}

for (const [part, check] of Object.entries({
  EmbeddingViT: checkViT,
  'Diffusion MLP': checkDiffusion,
  'image decoder': checkDecoder,
  LLM: checkLLM,
})) {
  if (!part.includes(process.env.MMAR_PART ?? '')) continue;
  const start = performance.now(),
    before = checks;
  await check();
  console.log(`${part}: ${checks - before} comparisons, ${((performance.now() - start) / 1000).toFixed(0)} s`);
}
for (const [kind, error] of Object.entries(worst)) console.log(`  ${kind.padEnd(16)} worst ${error.toExponential(2)}`);
console.log(`${checks - failures} passed, ${failures} failed, 0 skipped`);
process.exit(failures ? 1 : 0);
