import { checkCancelled } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { packRows, type Tensor } from '../engine/tensor.ts';
import { advance } from '../shaders/advance.ts';
import type { Parts } from './parts.ts';
import { type DecodeSettings, TextSequence } from './text.ts';

export interface ReadingInput {
  /** Ids before the image, image start not included. */
  before: readonly number[];
  /** f32 [L, d], the clean tokens of the picture. */
  tokens: ArrayLike<number>;
  /** Ids behind the image, image end not included. */
  after: readonly number[];
}

/** P(T|I) (spec section 6): one picture and the text around it go in, then the text head decodes token by token. */
export class Reading {
  private readonly text: TextSequence;
  private readonly tokens: Tensor;
  private readonly mask: Tensor;

  constructor(
    private readonly device: Device,
    private readonly parts: Parts,
    readonly capacity: number,
  ) {
    const { config, llm } = parts;
    this.text = new TextSequence(device, llm, capacity);
    this.tokens = device.tensor('tokens', 'f32', [config.image_tokens, config.image_tokenizer.embed_dim]);
    this.mask = device.tensor('mask', 'u32', [config.image_tokens]);
  }

  /** Yields each id of the answer as it is decoded; the id that ends it is not part of it. */
  async *run(
    { before, tokens, after }: ReadingInput,
    settings: DecodeSettings,
    signal?: AbortSignal,
  ): AsyncGenerator<number> {
    checkCancelled(signal);
    const { device, text, parts } = this,
      { llm, config } = parts,
      L = config.image_tokens;
    const head = [...before, llm.image_start],
      tail = [llm.image_end, ...after];
    text.begin([...head, ...new Array<number>(L).fill(0), ...tail], 0, settings.seed);
    device.write(this.tokens, packRows('f32', this.tokens.cols, tokens));
    await text.prefill(head.length, undefined, signal);
    await device.queue.run(await text.program('image', (p) => this.image(p)), signal);
    await text.prefill(tail.length, settings, signal);
    yield* text.decode(head.length + L + tail.length, settings, signal);
  }

  private image(p: Recorder): void {
    const { llm, vit, config } = this.parts,
      { context } = this.text;
    p.part('EmbeddingViT');
    const visual = vit.forward(p, this.tokens, this.mask);
    p.part('LLM');
    llm.forward(p, visual, context, 'image');
    advance(p, context.position, config.image_tokens);
  }

  async release(): Promise<void> {
    await this.text.release();
    for (const tensor of [this.tokens, this.mask]) this.device.release(tensor);
  }
}
