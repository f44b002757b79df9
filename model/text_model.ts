import { gigabytes } from '../base/bytes.ts';
import { MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import { type Checkpoint, openCheckpoint } from '../loaders/checkpoint.ts';
import { loadTokenizer, type TextTokenizer } from '../loaders/tokenizer.ts';
import { type Answer, type AnswerOptions, type ChatOptions, type ModelMemory, type Piece, resultOf } from './api.ts';
import { type LLMConfig, parseLLM } from './config.ts';
import { Fields } from './fields.ts';
import { loadWeights } from './load_weights.ts';
import type { LoadOptions } from './mmar.ts';
import { Qwen2 } from './qwen2.ts';
import { conversation, Reader } from './reader.ts';
import { type AnswerSettings, resolveAnswer } from './settings.ts';
import { weightType } from './system.ts';
import { Turns } from './turns.ts';
import { Weights } from './weights.ts';

/**
 * Loads a text model alone: a plain Qwen2 or Qwen2.5 folder, or the text model of an MMAR checkpoint. Throws as `loadMMAR`.
 */
export async function loadQwen2(
  from: Source | Checkpoint,
  { device, precision = 'bf16', available = Infinity, onProgress, signal, closed }: LoadOptions,
): Promise<TextModel> {
  const checkpoint = 'tensors' in from ? from : await openCheckpoint(from, signal);
  const { name } = checkpoint.source;
  const json = await checkpoint.json('config.json', signal);
  if (json === undefined)
    throw new MMARError('checkpoint', `${name} has no config.json; give the folder of a Qwen2 or an MMAR checkpoint`);
  const root = new Fields(json, name, '');
  const mmar = root.oneOf('model_type', ['qwen2', 'mmar']) === 'mmar';
  const config = parseLLM(mmar ? root.object('llm') : root);
  const weights = new Weights(weightType(checkpoint, precision), precision, device.maxBinding);
  const llm = new Qwen2(weights, config, mmar ? 'llm.' : '');
  if (weights.bytes > available) {
    throw new MMARError(
      'adapter',
      `${name}: its weights take ${gigabytes(weights.bytes)}, but ${gigabytes(available)} are free; choose a smaller model or an adapter with more memory`,
    );
  }
  try {
    await loadWeights(device, weights, checkpoint, onProgress, signal);
    const generation = ((await checkpoint.json('generation_config.json', signal)) ?? {}) as Record<string, unknown>;
    const tokenizer = await loadTokenizer(checkpoint, signal);
    // An MMAR's generation_config speaks of drawing.
    const sampled = !mmar && generation.do_sample === true;
    const number = (key: string) => (sampled && typeof generation[key] === 'number' ? generation[key] : undefined);
    const defaults = { max_new_tokens: 512, temperature: number('temperature'), top_p: number('top_p') };
    return new TextModel(device, checkpoint, config, llm, weights, tokenizer, defaults, closed);
  } catch (error) {
    weights.release(device);
    throw error;
  }
}

/** A text model, and the keys and values of what it read last: a conversation's next turn costs only what is new in it. */
export class TextModel {
  private readonly reader: Reader;
  private readonly turns = new Turns();
  private closing: Promise<void> | undefined;

  /** Use `loadQwen2`. */
  constructor(
    readonly device: Device,
    private readonly checkpoint: Checkpoint,
    readonly config: LLMConfig,
    readonly llm: Qwen2,
    private readonly weights: Weights,
    readonly tokenizer: TextTokenizer,
    readonly defaults: Partial<AnswerSettings>,
    private readonly closed?: () => void,
  ) {
    this.reader = new Reader(device, llm, config.max_position_embeddings);
  }

  async memory(): Promise<ModelMemory> {
    return { weights: this.weights.bytes, ...this.device.memory.report() };
  }

  /** Answers the last of some messages. Throws `usage` where they are too long or hold a special token. */
  chat(options: ChatOptions): Promise<Answer> {
    return resultOf(this.chatStream(options));
  }

  async *chatStream(options: ChatOptions): AsyncGenerator<Piece, Answer> {
    const settings = resolveAnswer(options, this.defaults);
    const ids = conversation(this.tokenizer, options.messages);
    const { signal } = options;
    return yield* this.turns.stream(() => this.reader.answer([{ ids }], this.tokenizer, settings, signal), signal);
  }

  /** Yields the ids that follow `ids`. */
  async *complete(ids: readonly number[], { signal, ...options }: AnswerOptions = {}): AsyncGenerator<number> {
    const settings = { ...resolveAnswer(options, this.defaults), eosIds: this.tokenizer.eosIds };
    yield* this.turns.stream(() => this.reader.decode([{ ids }], settings, signal), signal);
  }

  /** Waits for what runs, ends a stream that waits for its reader, refuses what waits, and gives all memory back. */
  close(): Promise<void> {
    this.closing ??= this.letGo();
    return this.closing;
  }

  private async letGo(): Promise<void> {
    await this.turns.close(new MMARError('usage', 'the model was closed; load it again'));
    await this.reader.release();
    this.weights.release(this.device);
    await this.checkpoint.source.close();
    this.closed?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
