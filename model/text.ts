import { checkCancelled, MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { advance } from '../shaders/advance.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import { seedWords } from '../shaders/random.ts';
import { sampleToken, type TokenSampling } from '../shaders/sample_token.ts';
import type { Context, Qwen2 } from './qwen2.ts';

export interface DecodeSettings extends TokenSampling {
  max_new_tokens: number;
  seed: number;
  /** Ids that end the answer. */
  eosIds: readonly number[];
}

/** Throws `usage` where a setting of `DecodeSettings` makes no sense. */
export function checkDecoding({
  temperature,
  top_p,
  max_new_tokens,
}: Pick<DecodeSettings, 'temperature' | 'top_p' | 'max_new_tokens'>): void {
  if (!(temperature >= 0)) throw new MMARError('usage', `temperature is ${temperature}; give a number from 0 up`);
  if (!(top_p > 0 && top_p <= 1)) throw new MMARError('usage', `top_p is ${top_p}; give a number over 0, at most 1`);
  if (!Number.isInteger(max_new_tokens) || max_new_tokens < 1)
    throw new MMARError('usage', `max_new_tokens is ${max_new_tokens}; give a whole number from 1 up`);
}

/** Prefill programs that are kept; their number of rows is a text's length, so there is no end of them. */
const mostPrograms = 12;

/** One sequence of text in an LLM's cache: prefill in passes that the device can take, then decoding token by token. */
export class TextSequence {
  readonly context: Context;
  private readonly seed: Tensor;
  private readonly workspace: Workspace;

  constructor(
    private readonly device: Device,
    private readonly llm: Qwen2,
    readonly capacity: number,
  ) {
    this.workspace = new Workspace(device, mostPrograms);
    this.context = llm.context(this.workspace, 1, capacity);
    this.seed = this.workspace.tensor('seed', 'u32', [2]);
  }

  /** Sets all ids and the number of those whose keys and values the cache has already. */
  begin(ids: readonly number[], cached: number, seed: number): void {
    const row = new Uint32Array(this.capacity);
    row.set(ids);
    this.workspace.write(this.context.ids, row);
    this.workspace.write(this.context.position, [cached]);
    this.workspace.write(this.seed, seedWords(seed));
  }

  /** Runs the next `count` ids; with `sampling` also chooses the token that follows them. */
  async prefill(count: number, sampling?: TokenSampling, signal?: AbortSignal): Promise<void> {
    const passes = this.llm.passes(this.device, count);
    for (const [i, rows] of passes.entries())
      await this.device.queue.run(await this.text(rows, i === passes.length - 1 ? sampling : undefined), signal);
  }

  /** Yields the tokens from position `start` on, the first of which `prefill` chose; the id that ends them is not part of them. */
  async *decode(start: number, settings: DecodeSettings, signal?: AbortSignal): AsyncGenerator<number> {
    const { device, context } = this,
      decode = await this.text(1, settings);
    // The device is one token ahead of what is read back, so that it never waits for the host.
    for (let n = 0, next = device.read(context.ids); n < settings.max_new_tokens; n++) {
      const current = next;
      if (n + 1 < settings.max_new_tokens) {
        await device.queue.run(decode, signal);
        next = device.read(context.ids);
        next.catch(() => {}); // thrown where it is awaited
      }
      const id = (await current)[start + n];
      device.check();
      checkCancelled(signal);
      if (settings.eosIds.includes(id)) break;
      yield id;
    }
    await device.queue.idle();
  }

  private text(count: number, sampling?: TokenSampling): Promise<Program> {
    return this.workspace.program(
      `text ${count} ${sampling ? `${sampling.temperature} ${sampling.top_p}` : ''}`,
      (p) => {
        const { llm, context } = this;
        p.part(sampling && count === 1 ? 'decode text' : 'text prefill');
        const hidden = llm.forward(p, llm.embedTokens(p, context, count), context, 'text');
        advance(p, context.position, count);
        if (sampling)
          sampleToken(p, llm.logits(p, this.lastRow(p, hidden)), this.seed, context, llm.vocab_size, sampling);
      },
    );
  }

  private lastRow(p: Recorder, hidden: Tensor): Tensor {
    if (hidden.rows === 1) return hidden;
    return gatherRows(p, hidden, p.constant('last row', 'u32', [1], [hidden.rows - 1]));
  }

  /** A program of this sequence, recorded when it is first needed. */
  program(key: string, record: (p: Recorder) => void): Promise<Program> {
    return this.workspace.program(key, record);
  }

  release(): Promise<void> {
    return this.workspace.release();
  }
}
