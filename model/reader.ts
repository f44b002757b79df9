import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Message, TextTokenizer } from '../loaders/tokenizer.ts';
import type { Answer, Piece } from './api.ts';
import { Kept } from './kept.ts';
import type { Qwen2 } from './qwen2.ts';
import { type DecodeSettings, type FinishReason, type Segment, Sequence, type Sight } from './sequence.ts';
import type { AnswerSettings } from './settings.ts';

/** Reads text and images and answers, in one sequence that grows where it must: what comes again is not read anew. */
export class Reader {
  private readonly kept = new Kept<Sequence>();

  /** @param sight without it, text alone */
  constructor(
    private readonly device: Device,
    private readonly llm: Qwen2,
    private readonly mostTokens: number,
    private readonly sight?: Sight,
  ) {}

  /** Answers what `segments` say, token by token; returns the whole answer. */
  async *answer(
    segments: readonly Segment[],
    tokenizer: TextTokenizer,
    settings: AnswerSettings,
    signal?: AbortSignal,
  ): AsyncGenerator<Piece, Answer> {
    const stream = tokenizer.decodeStream();
    const decoding = this.decode(segments, { ...settings, eosIds: tokenizer.eosIds }, signal);
    const ids: number[] = [];
    let text = '';
    try {
      for (;;) {
        const { done, value } = await decoding.next();
        if (done) {
          const rest = stream.flush();
          if (rest) yield { text: rest };
          return { text: text + rest, ids, ...value };
        }
        ids.push(value);
        const piece = stream.push(value);
        text += piece;
        yield { text: piece, id: value };
      }
    } finally {
      await decoding.return(undefined as never);
    }
  }

  /** The same in ids. */
  async *decode(
    segments: readonly Segment[],
    settings: DecodeSettings,
    signal?: AbortSignal,
  ): AsyncGenerator<number, Pick<Answer, 'finishReason' | 'usage'>> {
    const [L] = this.sight?.imageShape ?? [0];
    const promptTokens = segments.reduce((sum, segment) => sum + ('ids' in segment ? segment.ids.length : L), 0);
    const room = this.mostTokens - promptTokens - 1;
    if (!promptTokens) throw new MMARError('usage', 'there is no text to answer; give some');
    if (room < 1)
      throw new MMARError(
        'usage',
        `what is to be read takes ${promptTokens} tokens, the model has ${this.mostTokens} positions; give less, or begin anew`,
      );
    const most = { ...settings, max_new_tokens: Math.min(settings.max_new_tokens, room) };
    let answerTokens = 0;
    const use = await this.use(promptTokens + most.max_new_tokens + 1),
      sequence = use.thing;
    try {
      const cachedTokens = await sequence.read(segments, { next: most, signal });
      const decoding = sequence.decode(most, signal);
      for (;;) {
        const { done, value } = await decoding.next();
        if (done) {
          const finishReason = value as FinishReason;
          return { finishReason, usage: { promptTokens, cachedTokens, answerTokens } };
        }
        answerTokens++;
        yield value as number;
        use.check();
      }
    } finally {
      await this.device.queue.idle().catch(() => {}); // an answer that was left in the middle
      await use.end();
    }
  }

  /** What was read is read anew: the weights are others. */
  forget(): void {
    this.kept.forget();
  }

  release(): Promise<void> {
    return this.kept.release();
  }

  /** A sequence for at least so many tokens: the last one where it has room, else one with an empty cache. */
  private use(tokens: number) {
    return this.kept.use(
      (last) => last.capacity >= tokens,
      (last) => {
        const wanted = Math.max(2 * (last?.capacity ?? 0), Math.ceil(tokens / 64) * 64);
        const capacity = Math.min(this.mostTokens, wanted);
        return new Sequence(this.device, this.llm, capacity, { sight: this.sight });
      },
    );
  }
}

/** The ids of a conversation whose last message is to be answered. Throws `usage` where one holds a special token. */
export function conversation(tokenizer: TextTokenizer, messages: readonly Message[]): number[] {
  for (const { content } of messages) tokenizer.refuseControl(content, 'text');
  return tokenizer.encode(tokenizer.chat([...messages], { add_generation_prompt: true }));
}
