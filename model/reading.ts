import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import { type Tensor, pack_rows } from '../engine/tensor.ts';
import { check_cancelled } from '../platform/error.ts';
import { advance } from '../shaders/advance.ts';
import { gather_rows } from '../shaders/gather_rows.ts';
import { seed_words } from '../shaders/random.ts';
import { type TokenSampling, sample_token } from '../shaders/sample_token.ts';
import type { Parts } from './parts.ts';
import type { Context } from './qwen2.ts';

export interface ReadingInput {
  /** Ids before the image, image start not included. */
  before: readonly number[];
  /** f32 [L, d], the clean tokens of the picture. */
  tokens: ArrayLike<number>;
  /** Ids behind the image, image end not included. */
  after: readonly number[];
}

export interface ReadingSettings extends TokenSampling {
  max_new_tokens: number;
  seed: number;
  /** Ids that end the answer. */
  eos_ids: readonly number[];
}

/** P(T|I) (spec section 6): one picture and the text around it go in, then the text head decodes token by token. */
export class Reading {
  private readonly context: Context;
  private readonly tokens: Tensor;
  private readonly mask: Tensor;
  private readonly seed: Tensor;
  private readonly made: Tensor[];
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(private readonly device: Device, private readonly parts: Parts, readonly capacity: number) {
    const { config, llm } = parts;
    this.context = llm.context(device, 1, capacity);
    this.tokens = device.tensor('tokens', 'f32', [config.image_tokens, config.image_tokenizer.embed_dim]);
    this.mask = device.tensor('mask', 'u32', [config.image_tokens]);
    this.seed = device.tensor('seed', 'u32', [2]);
    this.made = [this.tokens, this.mask, this.seed, this.context.position, this.context.ids, ...this.context.layers.flatMap(({ k, v }) => [k, v])];
  }

  /** Yields each id of the answer as it is decoded; the id that ends it is not part of it. */
  async *run({ before, tokens, after }: ReadingInput, settings: ReadingSettings, signal?: AbortSignal): AsyncGenerator<number> {
    check_cancelled(signal);
    const { device, context, parts } = this, { llm, config } = parts, L = config.image_tokens;
    const head = [...before, llm.image_start], tail = [llm.image_end, ...after], start = head.length + L + tail.length;
    const ids = new Uint32Array(this.capacity);
    ids.set(head);
    ids.set(tail, head.length + L);
    this.write(context.ids, ids);
    this.write(context.position, [0]);
    this.write(this.tokens, tokens);
    this.write(this.seed, seed_words(settings.seed));
    const sampling = `${settings.temperature} ${settings.top_p}`;
    device.run(await this.program(`text ${head.length}`, (p) => this.text(p, head.length)));
    device.run(await this.program('image', (p) => this.image(p)));
    device.run(await this.program(`text ${tail.length} ${sampling}`, (p) => this.text(p, tail.length, settings)));
    const decode = await this.program(`text 1 ${sampling}`, (p) => this.text(p, 1, settings));
    // The device is one token ahead of what is read back, so that it never waits for the host.
    for (let n = 0, next = device.read(context.ids); n < settings.max_new_tokens; n++) {
      const current = next;
      if (n + 1 < settings.max_new_tokens) {
        device.run(decode);
        next = device.read(context.ids);
        next.catch(() => {}); // thrown where it is awaited
      }
      const id = (await current)[start + n];
      device.check();
      check_cancelled(signal);
      if (settings.eos_ids.includes(id)) break;
      yield id;
    }
    await device.idle();
  }

  /** The next `count` tokens of text; with `sampling` also the token that follows them. */
  private text(p: Recorder, count: number, sampling?: TokenSampling): void {
    const { llm } = this.parts, { context } = this;
    p.part(sampling && count === 1 ? 'decode text' : 'text prefill');
    const hidden = llm.forward(p, llm.embed_tokens(p, context, count), context, 'text');
    advance(p, context.position, count);
    if (sampling) sample_token(p, llm.logits(p, this.last_row(p, hidden)), this.seed, context, llm.vocab_size, sampling);
  }

  private image(p: Recorder): void {
    const { llm, vit, config } = this.parts;
    p.part('EmbeddingViT');
    const visual = vit.forward(p, this.tokens, this.mask);
    p.part('LLM');
    llm.forward(p, visual, this.context, 'image');
    advance(p, this.context.position, config.image_tokens);
  }

  private last_row(p: Recorder, hidden: Tensor): Tensor {
    return hidden.rows === 1 ? hidden : gather_rows(p, hidden, this.index(hidden.rows - 1));
  }

  /** A tensor that holds one row's number. */
  private index(row: number): Tensor {
    const tensor = this.device.tensor('index', 'u32', [1]);
    this.made.push(tensor);
    this.write(tensor, [row]);
    return tensor;
  }

  private program(key: string, record: (p: Recorder) => void): Promise<Program> {
    let program = this.programs.get(key);
    if (!program) this.programs.set(key, (program = this.device.record(key, record)));
    return program;
  }

  private write(tensor: Tensor, values: ArrayLike<number>): void {
    this.device.write(tensor, pack_rows(tensor.type, tensor.cols, values));
  }

  async release(): Promise<void> {
    for (const program of this.programs.values()) (await program.catch(() => undefined))?.destroy();
    for (const tensor of this.made) this.device.release(tensor);
  }
}
