// What section 7 of the specification has otherwise: VQ and Transfusion as plain f64 loops.
import type { MMARConfig, TransfusionConfig, VQConfig } from '../../model/config.ts';
import { flat, guided, type Iterations, ReferenceModel, type Rows, rowsOf, type Values } from './reference.ts';

/** Ablation-VQ. */
export class ReferenceVQ extends ReferenceModel {
  private readonly codebook: Rows;

  constructor(config: VQConfig, weights: Map<string, Values>) {
    super(config as unknown as MMARConfig, weights); // what it lacks is asked for by nothing that is called here
    this.codebook = rowsOf(this.get('image_tokenizer.quantize.embedding.weight'), config.image_tokenizer.embed_dim);
  }

  /** The number of the nearest row, the lowest of those that are equally near. */
  codes(pixels: Rows): number[] {
    return this.latent(pixels).map((row) => {
      const distances = this.codebook.map((code) => code.reduce((sum, v, i) => sum + (v - row[i]) ** 2, 0));
      return distances.indexOf(Math.min(...distances));
    });
  }

  rows(codes: number[]): Rows {
    return codes.map((code) => this.codebook[code]);
  }

  /** Logits of the codes at an image's positions behind a text. */
  imageLogits(before: Values, tokens: Rows, mask: Values): Rows {
    return this.atImage(before, this.visual(tokens, mask)).map((z) => this.linear(z, 'image_head'));
  }

  /** @param uniform a number for each position; none at temperature 0 */
  generateCodes(
    texts: Values[],
    order: Values,
    uniform: Values | undefined,
    o: Iterations & { temperature: number },
  ): number[] {
    const codes: number[] = [];
    this.fill(texts, order, o, (z, i, cfg) => {
      const [conditional, other] = z.map((row) => this.linear(row, 'image_head')),
        logits = guided(conditional, other, cfg),
        top = Math.max(...logits);
      let left = 0;
      if (uniform) {
        const weights = logits.map((l) => Math.exp((l - top) / o.temperature));
        left = uniform[i] * weights.reduce((a, b) => a + b);
        codes[i] = weights.findIndex((w) => {
          left -= w;
          return left < 0;
        });
      } else codes[i] = logits.indexOf(top);
      return this.codebook[codes[i]];
    });
    return codes;
  }
}

/** The Transfusion re-implementation. */
export class ReferenceTransfusion extends ReferenceModel {
  constructor(config: TransfusionConfig, weights: Map<string, Values>) {
    super(config as unknown as MMARConfig, weights); // what it lacks is asked for by nothing that is called here
  }

  private embed(tokens: Rows, t: number): Rows {
    const times = rowsOf(this.get('transfusion.time_embed.weight'), this.config.llm.hidden_size);
    return tokens.map((row) => this.linear(row, 'transfusion.input_proj').map((v, i) => v + times[t][i]));
  }

  /** Clean tokens are those of t = 0. */
  override visual(tokens: Rows): Rows {
    return this.embed(tokens, 0);
  }

  denoise(before: Values, tokens: Rows, t: number): Rows {
    return this.atImage(before, this.embed(tokens, t)).map((z) => this.linear(z, 'transfusion.output_proj'));
  }

  /** All tokens at once, DDIM. */
  generateWhole(texts: Values[], noise: Rows, steps: number, cfg: number): Rows {
    const d = noise[0].length,
      all = this.ddim(flat(noise), steps, (x, t) => {
        const [conditional, other] = texts.map((text) => flat(this.denoise(text, rowsOf(x, d), t)));
        return guided(conditional, other, cfg);
      });
    return rowsOf(all, d);
  }
}
