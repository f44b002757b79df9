// The whole graph of the specification as plain f64 loops, a token a row: slow, obvious, and independent of the engine.
import type { MMARConfig } from '../../model/config.ts';
import { conv3x3, gelu, matmul, none, normalize, silu } from '../reference.ts';
import { alphasBar, chosenTimes, guidanceAt, hiddenAfter } from './schedules.ts';

type Values = ArrayLike<number>;
type Rows = Float64Array[];

const add = (a: Values, b: Values): Float64Array => Float64Array.from(a, (x, i) => x + b[i]);
const rowsOf = (x: Values, cols: number): Rows =>
  Array.from({ length: x.length / cols }, (_, r) => Float64Array.from({ length: cols }, (_, c) => x[r * cols + c]));
const flat = (x: Rows): Float64Array => Float64Array.from(x.flatMap((row) => Array.from(row)));

const guided = (conditional: Float64Array, other: Float64Array, cfg: number): Float64Array =>
  other.map((o, i) => o + cfg * (conditional[i] - o));

interface Iterations {
  iterations: number;
  cfg: number;
  cfg_schedule: 'linear' | 'constant';
}

/** One row at a time through everything that spec sections 2 to 6 describe. */
export class ReferenceModel {
  constructor(
    readonly config: MMARConfig,
    protected readonly weights: Map<string, Values>,
  ) {}

  protected get(name: string): Values {
    const found = this.weights.get(name);
    if (!found) throw new Error(`no weight ${name}`);
    return found;
  }

  protected linear(x: Values, prefix: string, act: (x: number) => number = none, bias = true): Float64Array {
    const w = this.get(`${prefix}.weight`),
      n = w.length / x.length,
      y = matmul(x, w, 1, x.length, n);
    return (bias ? add(y, this.get(`${prefix}.bias`)) : y).map(act);
  }

  private layerNorm(x: Values, prefix?: string): Float64Array {
    const y = normalize(x, () => 0, 1e-6);
    return prefix
      ? add(
          y.map((v, i) => v * this.get(`${prefix}.weight`)[i]),
          this.get(`${prefix}.bias`),
        )
      : y;
  }

  private rmsNorm(x: Values, name: string): Float64Array {
    let squares = 0;
    for (let i = 0; i < x.length; i++) squares += x[i] ** 2;
    const scale = 1 / Math.sqrt(squares / x.length + this.config.llm.rms_norm_eps),
      weight = this.get(name);
    return Float64Array.from(x, (v, i) => v * scale * weight[i]);
  }

  /** softmax(q kᵀ / √d) v of one query over keys, head by head. */
  private attend(q: Values, keys: Rows, values: Rows, heads: number, kvHeads: number): Float64Array {
    const d = q.length / heads,
      y = new Float64Array(q.length);
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor((h * kvHeads) / heads) * d,
        scores = keys.map((k) => {
          let s = 0;
          for (let e = 0; e < d; e++) s += q[h * d + e] * k[kv + e];
          return s / Math.sqrt(d);
        });
      const top = Math.max(...scores),
        weights = scores.map((s) => Math.exp(s - top)),
        sum = weights.reduce((a, b) => a + b);
      for (let e = 0; e < d; e++) for (const [j, v] of values.entries()) y[h * d + e] += (weights[j] / sum) * v[kv + e];
    }
    return y;
  }

  /** PostProjector, EmbeddingViT, VisProjector: [L, H]. */
  visual(tokens: Rows, mask: Values): Rows {
    const { width, heads, depth } = this.config.embedding_vit,
      pos = rowsOf(this.get('embedding_vit.pos_embed'), width),
      mask_token = this.get('embedding_vit.mask_token');
    let x = tokens.map((t, i) =>
      add(mask[i] ? mask_token : this.linear(this.linear(t, 'post_projector.0', gelu), 'post_projector.2'), pos[i]),
    );
    for (let b = 0; b < depth; b++) {
      const prefix = `embedding_vit.blocks.${b}`,
        qkv = x.map((row) => this.linear(this.layerNorm(row, `${prefix}.norm1`), `${prefix}.attn.qkv`));
      const part = (n: number) => qkv.map((row) => row.subarray(n * width, (n + 1) * width)),
        k = part(1),
        v = part(2);
      x = x.map((row, i) => add(row, this.linear(this.attend(part(0)[i], k, v, heads, heads), `${prefix}.attn.proj`)));
      x = x.map((row) =>
        add(
          row,
          this.linear(
            this.linear(this.layerNorm(row, `${prefix}.norm2`), `${prefix}.mlp.fc1`, gelu),
            `${prefix}.mlp.fc2`,
          ),
        ),
      );
    }
    return x.map((row) =>
      this.linear(
        this.linear(
          this.linear(this.layerNorm(row, 'embedding_vit.norm'), 'vis_projector.0', gelu),
          'vis_projector.2',
          gelu,
        ),
        'vis_projector.4',
      ),
    );
  }

  embedding(id: number): Float64Array {
    const H = this.config.llm.hidden_size;
    return Float64Array.from({ length: H }, (_, c) => this.get('llm.model.embed_tokens.weight')[id * H + c]);
  }

  /** The LLM's input of a text with an image in it. */
  sequence(before: Values, image: Rows, after: Values): { x: Rows; image: boolean[] } {
    const text = (ids: Values) => Array.from(ids, (id) => this.embedding(id)),
      start = Float64Array.from(this.get('image_start')),
      end = Float64Array.from(this.get('image_end'));
    const x = [...text(before), start, ...image, end, ...text(after)];
    return { x, image: x.map((_, i) => i > before.length && i <= before.length + image.length) };
  }

  /** Qwen2 with PLoRA on image tokens: hidden states after the final norm. */
  llm(x: Rows, image: boolean[]): Rows {
    const {
        num_hidden_layers,
        num_attention_heads: heads,
        num_key_value_heads: kvHeads,
        hidden_size,
        rope_theta,
      } = this.config.llm,
      { rank, alpha } = this.config.plora;
    const d = hidden_size / heads,
      last = image.lastIndexOf(true);
    const project = (row: Values, i: number, prefix: string, bias = false) => {
      const y = this.linear(row, prefix, none, bias);
      if (!image[i]) return y;
      const low = matmul(row, this.get(`${prefix}.lora_A.weight`), 1, row.length, rank);
      return add(
        y,
        matmul(low, this.get(`${prefix}.lora_B.weight`), 1, rank, y.length).map((v) => (v * alpha) / rank),
      );
    };
    const rotate = (row: Float64Array, position: number) =>
      row.map((v, e) => {
        const i = e % d,
          pair = i < d / 2 ? -row[e + d / 2] : row[e - d / 2],
          angle = position / rope_theta ** ((2 * (i % (d / 2))) / d);
        return v * Math.cos(angle) + pair * Math.sin(angle);
      });
    for (let l = 0; l < num_hidden_layers; l++) {
      const p = `llm.model.layers.${l}`,
        normed = x.map((row) => this.rmsNorm(row, `${p}.input_layernorm.weight`));
      const q = normed.map((row, i) => rotate(project(row, i, `${p}.self_attn.q_proj`, true), i)),
        k = normed.map((row, i) => rotate(project(row, i, `${p}.self_attn.k_proj`, true), i));
      const v = normed.map((row, i) => project(row, i, `${p}.self_attn.v_proj`, true));
      x = x.map((row, i) => {
        const seen = image[i] ? last + 1 : i + 1;
        return add(
          row,
          project(this.attend(q[i], k.slice(0, seen), v.slice(0, seen), heads, kvHeads), i, `${p}.self_attn.o_proj`),
        );
      });
      x = x.map((row, i) => {
        const h = this.rmsNorm(row, `${p}.post_attention_layernorm.weight`),
          up = project(h, i, `${p}.mlp.up_proj`);
        return add(
          row,
          project(
            project(h, i, `${p}.mlp.gate_proj`).map((g, j) => silu(g) * up[j]),
            i,
            `${p}.mlp.down_proj`,
          ),
        );
      });
    }
    return x.map((row) => this.rmsNorm(row, 'llm.model.norm.weight'));
  }

  logits(hidden: Values): Float64Array {
    return this.linear(
      hidden,
      this.config.llm.tie_word_embeddings ? 'llm.model.embed_tokens' : 'llm.lm_head',
      none,
      false,
    );
  }

  diffusion(x: Values, t: number, z: Values): Float64Array {
    const { width: D, depth } = this.config.diffusion;
    const embedding = Float64Array.from({ length: 256 }, (_, k) =>
      (k < 128 ? Math.cos : Math.sin)(t * Math.exp((-Math.log(10000) * (k % 128)) / 128)),
    );
    const y = add(
      this.linear(this.linear(embedding, 'diffusion.time_embed.mlp.0', silu), 'diffusion.time_embed.mlp.2'),
      this.linear(z, 'diffusion.cond_embed'),
    ).map(silu);
    const modulate = (h: Float64Array, m: Float64Array) => h.map((v, i) => v * (1 + m[D + i]) + m[i]);
    let h = this.linear(x, 'diffusion.input_proj');
    for (let b = 0; b < depth; b++) {
      const p = `diffusion.res_blocks.${b}`,
        m = this.linear(y, `${p}.adaLN_modulation.1`);
      const inner = this.linear(
        this.linear(modulate(this.layerNorm(h, `${p}.in_ln`), m), `${p}.mlp.0`, silu),
        `${p}.mlp.2`,
      );
      h = h.map((v, i) => v + m[2 * D + i] * inner[i]);
    }
    return this.linear(
      modulate(this.layerNorm(h), this.linear(y, 'diffusion.final_layer.adaLN_modulation.1')),
      'diffusion.final_layer.linear',
    );
  }

  /** One token. `noise` is the first x. */
  sample(z: Values, z_uncond: Values | undefined, noise: Values, steps: number, cfg: number): Float64Array {
    return this.ddim(noise, steps, (x, t) => {
      const conditional = this.diffusion(x, t, z),
        other = z_uncond && this.diffusion(x, t, z_uncond);
      return other ? guided(conditional, other, cfg) : conditional;
    });
  }

  /** Noise to what a model predicts from it, by Eq. 16, written with the angles. */
  protected ddim(noise: Values, steps: number, predict: (x: Float64Array, t: number) => Float64Array): Float64Array {
    const { prediction, timesteps } = this.config.diffusion,
      times = chosenTimes(timesteps, steps),
      phi = Array.from(alphasBar(timesteps), (bar) => Math.atan2(Math.sqrt(1 - bar), Math.sqrt(bar)));
    let x = Float64Array.from(noise);
    for (let j = steps - 1; j >= 0; j--) {
      const now = phi[times[j]],
        next = j ? phi[times[j - 1]] : 0,
        psi =
          typeof prediction === 'number'
            ? prediction
            : { v: now + Math.PI / 2, epsilon: Math.PI / 2, x: 0 }[prediction];
      const u = predict(x, times[j]);
      x = x.map(
        (v, i) =>
          (Math.sin(next - now) / Math.sin(psi - now)) * u[i] - (Math.sin(next - psi) / Math.sin(psi - now)) * v,
      );
    }
    return x;
  }

  /** The masked-AR loop, DDIM. */
  generate(before: Values, uncond: Values, order: Values, noise: Rows, o: Iterations & { steps: number }): Rows {
    return this.fill([before, uncond], order, o, ([z, other], i, cfg) => this.sample(z, other, noise[i], o.steps, cfg));
  }

  /** Draws all tokens in order; `draw` gives one, of the hidden states of both branches at its position. */
  protected fill(
    texts: Values[],
    order: Values,
    o: Iterations,
    draw: (z: Float64Array[], i: number, cfg: number) => Float64Array,
  ): Rows {
    const L = this.config.image_tokens,
      d = this.config.image_tokenizer.embed_dim,
      tokens: Rows = Array.from({ length: L }, () => new Float64Array(d)),
      mask = Array<number>(L).fill(1);
    let now = L;
    for (const hidden of hiddenAfter(L, o.iterations)) {
      const chosen = Array.from(order).slice(L - now, L - hidden),
        visual = this.visual(tokens, mask);
      const z = texts.map((text) => this.atImage(text, visual));
      const cfg = guidanceAt(o.cfg, o.cfg_schedule, L - hidden, L);
      for (const i of chosen) {
        tokens[i] = draw(
          z.map((rows) => rows[i]),
          i,
          cfg,
        );
        mask[i] = 0;
      }
      now = hidden;
    }
    return tokens;
  }

  /** Hidden states at an image's positions behind a text. */
  protected atImage(text: Values, visual: Rows): Rows {
    const { x, image } = this.sequence(text, visual, []);
    return this.llm(x, image).slice(text.length + 1, text.length + 1 + visual.length);
  }

  describe(before: Values, tokens: Rows, after: Values, max_new_tokens: number): number[] {
    const visual = this.visual(
        tokens,
        tokens.map(() => 0),
      ),
      ids: number[] = [];
    while (ids.length < max_new_tokens) {
      const { x, image } = this.sequence(before, visual, [...Array.from(after), ...ids]),
        logits = Array.from(this.logits(this.llm(x, image).at(-1)!));
      ids.push(logits.indexOf(Math.max(...logits)));
    }
    return ids;
  }

  // The image tokenizer. A picture is its pixels, each a row of channels.

  protected groupNorm(x: Rows, prefix: string, act = silu): Rows {
    const channels = x[0].length,
      size = channels / this.config.image_tokenizer.norm_groups,
      weight = this.get(`${prefix}.weight`),
      bias = this.get(`${prefix}.bias`);
    return rowsOf(
      normalize(flat(x), (i) => Math.floor((i % channels) / size), 1e-6).map((v, i) =>
        act(v * weight[i % channels] + bias[i % channels]),
      ),
      channels,
    );
  }

  protected conv(x: Rows, prefix: string, options: { stride?: number; upsample?: boolean } = {}): Rows {
    const side = Math.sqrt(x.length),
      stride = options.stride ?? 1,
      scale = options.upsample ? 2 : 1,
      size = side * scale,
      pad = stride === 1 ? 1 : 0,
      padded = size + 1 + pad;
    const zero = new Float64Array(x[0].length),
      out = this.get(`${prefix}.bias`).length,
      weight = this.get(`${prefix}.weight`),
      channels = { in: zero.length, out };
    const picture = Array.from({ length: padded * padded }, (_, i) => {
      const row = Math.floor(i / padded) - pad,
        col = (i % padded) - pad;
      return row < 0 || col < 0 || row >= size || col >= size
        ? zero
        : x[Math.floor(row / scale) * side + Math.floor(col / scale)];
    });
    const tapsLast = Float64Array.from({ length: weight.length }, (_, i) => {
      const c = i % channels.in,
        tap = Math.floor(i / channels.in) % 9,
        o = Math.floor(i / channels.in / 9);
      return weight[(o * channels.in + c) * 9 + tap];
    });
    return rowsOf(conv3x3(flat(picture), padded, padded, tapsLast, channels, stride), out).map((row) =>
      add(row, this.get(`${prefix}.bias`)),
    );
  }

  private resnet(x: Rows, prefix: string): Rows {
    const h = this.conv(
      this.groupNorm(this.conv(this.groupNorm(x, `${prefix}.norm1`), `${prefix}.conv1`), `${prefix}.norm2`),
      `${prefix}.conv2`,
    );
    const shortcut = this.weights.has(`${prefix}.nin_shortcut.weight`)
      ? x.map((row) => this.linear(row, `${prefix}.nin_shortcut`))
      : x;
    return h.map((row, i) => add(row, shortcut[i]));
  }

  private attention(x: Rows, prefix: string): Rows {
    const h = this.groupNorm(x, `${prefix}.norm`, none),
      part = (n: string) => h.map((row) => this.linear(row, `${prefix}.${n}`)),
      k = part('k'),
      v = part('v');
    return part('q').map((q, i) => add(x[i], this.linear(this.attend(q, k, v, 1, 1), `${prefix}.proj_out`)));
  }

  private middle(x: Rows, prefix: string): Rows {
    return this.resnet(this.attention(this.resnet(x, `${prefix}.block_1`), `${prefix}.attn_1`), `${prefix}.block_2`);
  }

  private level(x: Rows, prefix: string, blocks: number): Rows {
    for (let b = 0; b < blocks; b++) {
      x = this.resnet(x, `${prefix}.block.${b}`);
      if (this.weights.has(`${prefix}.attn.${b}.q.weight`)) x = this.attention(x, `${prefix}.attn.${b}`);
    }
    if (this.weights.has(`${prefix}.downsample.conv.weight`))
      return this.conv(x, `${prefix}.downsample.conv`, { stride: 2 });
    return this.weights.has(`${prefix}.upsample.conv.weight`)
      ? this.conv(x, `${prefix}.upsample.conv`, { upsample: true })
      : x;
  }

  /** @param pixels rows of RGB */
  encode(pixels: Rows): Rows {
    const { embed_dim, scaling_factor } = this.config.image_tokenizer;
    return this.latent(pixels).map((row) => row.subarray(0, embed_dim).map((v) => v * scaling_factor));
  }

  /** What comes out of quant_conv. */
  protected latent(pixels: Rows): Rows {
    const { ch_mult, num_res_blocks } = this.config.image_tokenizer,
      prefix = 'image_tokenizer.encoder';
    let h = this.conv(pixels, `${prefix}.conv_in`);
    for (let l = 0; l < ch_mult.length; l++) h = this.level(h, `${prefix}.down.${l}`, num_res_blocks);
    h = this.conv(this.groupNorm(this.middle(h, `${prefix}.mid`), `${prefix}.norm_out`), `${prefix}.conv_out`);
    return h.map((row) => this.linear(row, 'image_tokenizer.quant_conv'));
  }

  decode(tokens: Rows): Rows {
    const { ch_mult, num_res_blocks, scaling_factor } = this.config.image_tokenizer,
      prefix = 'image_tokenizer.decoder';
    let h = this.middle(
      this.conv(
        tokens.map((row) =>
          this.linear(
            row.map((v) => v / scaling_factor),
            'image_tokenizer.post_quant_conv',
          ),
        ),
        `${prefix}.conv_in`,
      ),
      `${prefix}.mid`,
    );
    for (let l = ch_mult.length - 1; l >= 0; l--) h = this.level(h, `${prefix}.up.${l}`, num_res_blocks + 1);
    return this.conv(this.groupNorm(h, `${prefix}.norm_out`), `${prefix}.conv_out`);
  }
}

export { flat, guided, type Iterations, type Rows, rowsOf, type Values };
