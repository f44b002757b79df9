import { MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import { type Checkpoint, openCheckpoint } from '../loaders/checkpoint.ts';
import { loadTokenizer, type Message, type TextTokenizer } from '../loaders/tokenizer.ts';
import { type LLMConfig, parseLLM } from './config.ts';
import { Fields } from './fields.ts';
import type { LoadOptions, Piece } from './mmar.ts';
import { weightType } from './parts.ts';
import { gigabytes } from './plan.ts';
import { Qwen2 } from './qwen2.ts';
import { checkDecoding, type DecodeSettings, TextSequence } from './text.ts';
import { Weights } from './weights.ts';

export interface ReplyOptions {
  max_new_tokens?: number;
  /** 0: the likeliest token each time. */
  temperature?: number;
  top_p?: number;
  seed?: number;
  signal?: AbortSignal;
}

/**
 * Loads a text model alone: a plain Qwen2 or Qwen2.5 folder, or the text model of an MMAR checkpoint. Throws as `loadMMAR`.
 */
export async function loadQwen2(
  from: Source | Checkpoint,
  { device, precision = 'bf16', available = Infinity, onProgress, signal }: LoadOptions,
): Promise<TextModel> {
  const checkpoint = 'tensors' in from ? from : await openCheckpoint(from, signal),
    name = checkpoint.source.name;
  const json = await checkpoint.json('config.json', signal);
  if (json === undefined)
    throw new MMARError('checkpoint', `${name} has no config.json; give the folder of a Qwen2 or an MMAR checkpoint`);
  const root = new Fields(json, name, ''),
    mmar = root.oneOf('model_type', ['qwen2', 'mmar']) === 'mmar';
  const config = parseLLM(mmar ? root.object('llm') : root);
  const weights = new Weights(weightType(checkpoint, precision), precision, device.maxBinding),
    llm = new Qwen2(weights, config, mmar ? 'llm.' : '');
  if (weights.bytes > available) {
    throw new MMARError(
      'adapter',
      `${name}: its weights take ${gigabytes(weights.bytes)}, but ${gigabytes(available)} are free; choose a smaller model or an adapter with more memory`,
    );
  }
  try {
    await weights.load(device, checkpoint, onProgress, signal);
  } catch (error) {
    weights.release(device);
    throw error;
  }
  const generation = ((await checkpoint.json('generation_config.json', signal)) ?? {}) as Record<string, unknown>;
  // An MMAR's generation_config speaks of drawing.
  const sampled = !mmar && generation.do_sample === true,
    number = (key: string, otherwise: number) =>
      sampled && typeof generation[key] === 'number' ? (generation[key] as number) : otherwise;
  return new TextModel(device, checkpoint, config, llm, weights, await loadTokenizer(checkpoint, signal), {
    temperature: number('temperature', 0),
    top_p: number('top_p', 1),
  });
}

/** A text model, and the keys and values of what it read last: a conversation's next turn costs only what is new in it. */
export class TextModel {
  private sequence?: TextSequence;
  /** Ids whose keys and values the cache has. */
  private cached: number[] = [];
  private busy = false;

  /** Use `loadQwen2`. */
  constructor(
    readonly device: Device,
    private readonly checkpoint: Checkpoint,
    readonly config: LLMConfig,
    readonly llm: Qwen2,
    private readonly weights: Weights,
    readonly tokenizer: TextTokenizer,
    readonly defaults: { temperature: number; top_p: number },
  ) {}

  memory() {
    return { weights: this.weights.bytes, ...this.device.memory.report() };
  }

  /** Answers the last of the messages, token by token. Throws `usage` where they are too long or hold a special token. */
  async *reply(messages: readonly Message[], options: ReplyOptions = {}): AsyncGenerator<Piece> {
    for (const { content } of messages) this.tokenizer.refuseControl(content, 'text');
    const ids = this.tokenizer.encode(this.tokenizer.chat([...messages], { add_generation_prompt: true })),
      stream = this.tokenizer.decodeStream();
    for await (const id of this.complete(ids, options)) yield { text: stream.push(id), id };
    const rest = stream.flush();
    if (rest) yield { text: rest, id: -1 };
  }

  /** Yields the ids that follow `ids`; what the cache has of them already is not computed again. */
  async *complete(
    ids: readonly number[],
    {
      max_new_tokens = 512,
      temperature = this.defaults.temperature,
      top_p = this.defaults.top_p,
      seed = 0,
      signal,
    }: ReplyOptions = {},
  ): AsyncGenerator<number> {
    checkDecoding({ temperature, top_p, max_new_tokens });
    if (!ids.length) throw new MMARError('usage', 'there is no text to answer; give some');
    if (this.busy) throw new MMARError('usage', 'the model is answering; wait for it or stop it first');
    const most = this.config.max_position_embeddings,
      room = most - ids.length - 1;
    if (room < 1)
      throw new MMARError(
        'usage',
        `the conversation takes ${ids.length} tokens, the model has ${most} positions; begin anew`,
      );
    const settings: DecodeSettings = {
      temperature,
      top_p,
      seed,
      max_new_tokens: Math.min(max_new_tokens, room),
      eosIds: this.tokenizer.eosIds,
    };
    this.busy = true;
    try {
      const sequence = await this.room(ids.length + settings.max_new_tokens + 1),
        known = commonPrefix(this.cached, ids.slice(0, -1));
      this.cached = ids.slice(0, known);
      sequence.begin(ids, known, seed);
      await sequence.prefill(ids.length - known, settings, signal);
      this.cached = [...ids];
      for await (const id of sequence.decode(ids.length, settings, signal)) {
        yield id;
        // The device is a token ahead, so this one's keys and values are there; the last that may come is not run.
        if (this.cached.length + 1 < ids.length + settings.max_new_tokens) this.cached.push(id);
      }
    } finally {
      await this.device.queue.idle().catch(() => {}); // a turn that was left in the middle
      this.busy = false;
    }
  }

  /** A sequence of at least so many tokens; a longer one begins with an empty cache. */
  private async room(tokens: number): Promise<TextSequence> {
    if (this.sequence && this.sequence.capacity >= tokens) return this.sequence;
    await this.sequence?.release();
    this.cached = [];
    const twice = 2 * (this.sequence?.capacity ?? 0);
    this.sequence = new TextSequence(
      this.device,
      this.llm,
      Math.min(this.config.max_position_embeddings, Math.max(twice, 1024, Math.ceil(tokens / 256) * 256)),
    );
    return this.sequence;
  }

  /** Gives the device memory back. The device itself stays open. */
  async close(): Promise<void> {
    await this.sequence?.release();
    this.weights.release(this.device);
    await this.checkpoint.source.close();
  }
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
