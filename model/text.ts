import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import { type Tensor, pack_rows } from '../engine/tensor.ts';
import { check_cancelled } from '../platform/error.ts';
import { advance } from '../shaders/advance.ts';
import { gather_rows } from '../shaders/gather_rows.ts';
import { seed_words } from '../shaders/random.ts';
import { type TokenSampling, sample_token } from '../shaders/sample_token.ts';
import type { Context, Qwen2 } from './qwen2.ts';

export interface DecodeSettings extends TokenSampling {
  max_new_tokens: number;
  seed: number;
  /** Ids that end the answer. */
  eos_ids: readonly number[];
}

/** Prefill programs that are kept; their number of rows is a text's length, so there is no end of them. */
const most_programs = 12;

/** One sequence of text in an LLM's cache: prefill in passes that the device can take, then decoding token by token. */
export class TextSequence {
  readonly context: Context;
  private readonly seed: Tensor;
  private readonly made: Tensor[];
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(private readonly device: Device, private readonly llm: Qwen2, readonly capacity: number) {
    this.context = llm.context(device, 1, capacity);
    this.seed = device.tensor('seed', 'u32', [2]);
    this.made = [this.seed, this.context.position, this.context.ids, ...this.context.layers.flatMap(({ k, v }) => [k, v])];
  }

  /** Sets all ids and the number of those whose keys and values the cache has already. */
  begin(ids: readonly number[], cached: number, seed: number): void {
    const row = new Uint32Array(this.capacity);
    row.set(ids);
    this.write(this.context.ids, row);
    this.write(this.context.position, [cached]);
    this.write(this.seed, seed_words(seed));
  }

  /** Runs the next `count` ids; with `sampling` also chooses the token that follows them. */
  async prefill(count: number, sampling?: TokenSampling): Promise<void> {
    const passes = this.llm.passes(this.device, count);
    for (const [i, rows] of passes.entries()) this.device.run(await this.text(rows, i === passes.length - 1 ? sampling : undefined));
  }

  /** Yields the tokens from position `start` on, the first of which `prefill` chose; the id that ends them is not part of them. */
  async *decode(start: number, settings: DecodeSettings, signal?: AbortSignal): AsyncGenerator<number> {
    const { device, context } = this, decode = await this.text(1, settings);
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

  private text(count: number, sampling?: TokenSampling): Promise<Program> {
    return this.program(`text ${count} ${sampling ? `${sampling.temperature} ${sampling.top_p}` : ''}`, (p) => {
      const { llm, context } = this;
      p.part(sampling && count === 1 ? 'decode text' : 'text prefill');
      const hidden = llm.forward(p, llm.embed_tokens(p, context, count), context, 'text');
      advance(p, context.position, count);
      if (sampling) sample_token(p, llm.logits(p, this.last_row(p, hidden)), this.seed, context, llm.vocab_size, sampling);
    });
  }

  private last_row(p: Recorder, hidden: Tensor): Tensor {
    if (hidden.rows === 1) return hidden;
    const index = this.device.tensor('index', 'u32', [1]);
    this.made.push(index);
    this.write(index, [hidden.rows - 1]);
    return gather_rows(p, hidden, index);
  }

  /** A program of this sequence, recorded when it is first needed. */
  async program(key: string, record: (p: Recorder) => void): Promise<Program> {
    let program = this.programs.get(key);
    this.programs.delete(key);
    this.programs.set(key, (program ??= this.device.record(key, record))); // the last used stands last
    if (this.programs.size > most_programs) {
      const [oldest, gone] = this.programs.entries().next().value!;
      this.programs.delete(oldest);
      this.device.submit(); // it may have been run, but not sent
      (await gone.catch(() => undefined))?.destroy();
    }
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
