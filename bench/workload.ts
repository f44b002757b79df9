import type { MMAR } from '../model/mmar.ts';
import { Sequence } from '../model/sequence.ts';
import { permutation } from '../shaders/random.ts';

/** Text of a model's own vocabulary that is read, and what is decoded behind it, the likeliest token each time. */
export class TextRun {
  private readonly sequence: Sequence;
  private readonly ids: number[];
  private readonly greedy;

  /** @param decoded tokens at most */
  constructor({ device, system: { llm } }: MMAR, length: number, decoded: number) {
    this.sequence = new Sequence(device, llm, length + decoded + 1);
    this.ids = Array.from({ length }, (_, i) => (i * 7919) % llm.vocab_size);
    this.greedy = { temperature: 0, top_p: 1, seed: 1, max_new_tokens: decoded, eosIds: [] };
  }

  /** Reads all of it anew. */
  async prefill(signal?: AbortSignal): Promise<void> {
    this.sequence.forget();
    await this.sequence.read([{ ids: this.ids }], { next: this.greedy, signal });
  }

  async decode(count: number, signal?: AbortSignal): Promise<void> {
    for await (const _ of this.sequence.decode({ ...this.greedy, max_new_tokens: count }, signal));
  }

  release(): Promise<void> {
    return this.sequence.release();
  }
}

/** A prompt of 24 tokens and an empty one of 12, and so many pictures, each of its own order and noise. */
export function drawingOf({ config }: MMAR, pictures: number) {
  const before = Array.from({ length: 24 }, (_, i) => i + 1);
  return {
    before,
    uncond: before.slice(0, 12),
    pictures: Array.from({ length: pictures }, (_, i) => ({
      order: permutation(config.image_tokens, i + 1),
      chance: { seed: i + 1 },
    })),
  };
}
