import { checkCancelled } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { advance } from '../shaders/advance.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import { seedWords } from '../shaders/random.ts';
import { sampleToken } from '../shaders/sample_token.ts';
import type { Context, Qwen2 } from './qwen2.ts';
import type { AnswerSettings } from './settings.ts';

/** An image as the LLM is shown it. */
export interface ImageTokens {
  /** f32 [L, d] */
  tokens: ArrayLike<number>;
  /** [L], 1: hidden; nothing is hidden unless given. */
  mask?: ArrayLike<number>;
}

/** A stretch of a sequence: ids of text, or the tokens of one image. */
export type Segment = { ids: readonly number[] } | { image: ImageTokens };

/** How an image's tokens become what the LLM reads in their place. */
export interface Sight {
  /** L and d. */
  readonly imageShape: readonly [number, number];
  /**
   * @param tokens f32 [L, d]
   * @param mask u32 [L], 1: hidden
   * @returns [L, H]
   */
  embed(p: Recorder, tokens: Tensor, mask: Tensor): Tensor;
}

export interface DecodeSettings extends AnswerSettings {
  /** Ids that end the answer. */
  eosIds: readonly number[];
}

/** Why an answer ended: the model ended it, or it has `max_new_tokens`. */
export type FinishReason = 'stop' | 'length';

export interface ReadOptions {
  /** Which group of rows reads; the first unless given. */
  group?: number;
  /** Also choose the token that follows; for a sequence of one row. */
  next?: AnswerSettings;
  /** Told the hidden states of each pass, [rows, H]; without `next`. */
  observe?: (hidden: Tensor) => Promise<void>;
  signal?: AbortSignal;
}

/** Of a row: an id, or a whole image. */
type Item = number | ImageTokens;

/** Passes differ in their number of rows, which is a text's length: there is no end of them. */
const mostPrograms = 12;

/**
 * What an LLM has read: the one owner of a cache of keys and values. It has `groups` of rows, which read texts of their
 * own, each of `copies` rows that read the same (a branch of the guidance, for several pictures). What a group has read
 * already from its start is not computed again.
 */
export class Sequence {
  readonly context: Context;
  private readonly workspace: Workspace;
  private readonly seed: Tensor;
  private readonly sampling: Tensor;
  private readonly last: Tensor;
  private readonly ids: Uint32Array<ArrayBuffer>;
  private readonly positions: Uint32Array<ArrayBuffer>;
  /** What each group's cache holds. */
  private readonly known: Item[][];
  private image: { tokens: Tensor; mask: Tensor } | undefined;

  constructor(
    private readonly device: Device,
    private readonly llm: Qwen2,
    readonly capacity: number,
    private readonly options: { groups?: number; copies?: number; sight?: Sight } = {},
  ) {
    const { groups = 1, copies = 1 } = options;
    this.workspace = new Workspace(device, mostPrograms);
    this.context = llm.context(this.workspace, groups * copies, capacity);
    this.seed = this.workspace.tensor('seed', 'u32', [2]);
    this.sampling = this.workspace.tensor('sampling', 'f32', [2]);
    this.last = this.workspace.tensor('last', 'u32', [1]);
    this.ids = new Uint32Array(groups * copies * capacity);
    this.positions = new Uint32Array(groups * copies);
    this.known = Array.from({ length: groups }, () => []);
  }

  private get copies(): number {
    return this.options.copies ?? 1;
  }

  /**
   * Reads `segments` from the start of the sequence on; afterwards the group stands behind them. Gives the number of
   * tokens that were there already.
   */
  async read(segments: readonly Segment[], { group = 0, next, observe, signal }: ReadOptions = {}): Promise<number> {
    checkCancelled(signal);
    const items = segments.flatMap((segment): Item[] => ('ids' in segment ? [...segment.ids] : [segment.image]));
    // The last item is read again for what follows from it; whoever looks on wants to see all.
    const kept = observe ? 0 : commonPrefix(this.known[group], next ? items.slice(0, -1) : items);
    this.known[group] = items.slice(0, kept);
    const cached = this.lengthOf(items.slice(0, kept));
    this.place(group, items, cached);
    if (next) {
      this.workspace.write(this.seed, seedWords(next.seed));
      this.workspace.write(this.sampling, [next.temperature, next.top_p]);
    }
    const passes = this.passes(items.slice(kept)),
      isSampled = (i: number): boolean => next !== undefined && i === passes.length - 1;
    if (!observe) {
      // What is needed soon compiles beside what is needed first.
      for (const [i, pass] of passes.entries()) void this.program(pass, group, isSampled(i));
      if (next) void this.text(1, 0, true);
    }
    for (const [i, pass] of passes.entries()) {
      if (isSampled(i) && typeof pass === 'number') this.workspace.write(this.last, [pass - 1]);
      await this.run(pass, group, isSampled(i), observe, signal);
    }
    this.known[group] = items;
    this.positions.fill(this.lengthOf(items), group * this.copies, (group + 1) * this.copies);
    return cached;
  }

  /**
   * Yields the tokens that follow what `read` read with `next`, as they are decoded; the id that ends them is not one of
   * them. They are part of the sequence then. Returns why it ended.
   */
  async *decode(settings: DecodeSettings, signal?: AbortSignal): AsyncGenerator<number, FinishReason> {
    const { device, context } = this;
    const most = settings.max_new_tokens;
    const start = this.lengthOf(this.known[0]);
    const decode = await this.text(1, 0, true);
    this.workspace.write(this.last, [0]);
    // The device is one token ahead of what is read back, so that it never waits for the host.
    for (let n = 0, next = device.read(context.ids); n < most; n++) {
      const current = next;
      if (n + 1 < most) {
        await device.queue.run(decode, signal);
        next = device.read(context.ids);
        next.catch(() => {}); // thrown where it is awaited
      }
      const id = (await current)[start + n];
      device.check();
      checkCancelled(signal);
      if (settings.eosIds.includes(id)) {
        await device.queue.idle();
        return 'stop';
      }
      if (n + 1 < most) this.known[0].push(id); // its keys and values are there: the device is a token ahead
      yield id;
    }
    await device.queue.idle();
    return 'length';
  }

  /** Lets go of what was read: it is read anew. */
  forget(): void {
    for (const items of this.known) items.length = 0;
  }

  /** Tokens that items take. */
  private lengthOf(items: readonly Item[]): number {
    const [L] = this.options.sight?.imageShape ?? [0];
    return items.reduce<number>((sum, item) => sum + (typeof item === 'number' ? 1 : L), 0);
  }

  /** Writes a group's ids and where it stands. */
  private place(group: number, items: readonly Item[], position: number): void {
    const row = new Uint32Array(this.capacity);
    let at = 0;
    for (const item of items) {
      if (typeof item === 'number') row[at] = item;
      at += this.lengthOf([item]);
    }
    for (let r = group * this.copies; r < (group + 1) * this.copies; r++) {
      this.ids.set(row, r * this.capacity);
      this.positions[r] = position;
    }
    this.workspace.write(this.context.ids, this.ids);
    this.workspace.write(this.context.position, this.positions);
  }

  /** Items as passes that the device can take: a number of ids, or an image. */
  private passes(items: readonly Item[]): Item[] {
    const passes: Item[] = [];
    for (let i = 0, run = 0; i <= items.length; i++) {
      const item = items[i];
      if (typeof item === 'number') run++;
      else {
        if (run) passes.push(...this.llm.passes(this.device, run));
        run = 0;
        if (item) passes.push(item);
      }
    }
    return passes;
  }

  private async run(
    pass: Item,
    group: number,
    sampled: boolean,
    observe: ReadOptions['observe'],
    signal?: AbortSignal,
  ): Promise<void> {
    if (typeof pass !== 'number') this.showImage(pass);
    if (observe) return this.observed(pass, group, observe, signal);
    await this.device.queue.run(await this.program(pass, group, sampled), signal);
  }

  private async observed(
    pass: Item,
    group: number,
    observe: NonNullable<ReadOptions['observe']>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { device } = this;
    let hidden!: Tensor;
    const program = await device.record('observed', (p) => {
      hidden = p.keep(typeof pass === 'number' ? this.textPass(p, pass, group) : this.imagePass(p, group));
    });
    try {
      await device.queue.run(program, signal);
      await observe(hidden);
    } finally {
      await device.queue.idle().catch(() => {});
      program.destroy();
      device.release(hidden);
    }
  }

  /** The program of the next `count` ids; `sampled`: it also chooses the token that follows. */
  private text(count: number, group: number, sampled: boolean): Promise<Program> {
    return this.workspace.program(`text ${count} of ${group}${sampled ? ', sampled' : ''}`, (p) => {
      p.part(sampled && count === 1 ? 'decode text' : 'text prefill');
      const hidden = this.textPass(p, count, group);
      if (sampled) this.chooseNext(p, hidden);
    });
  }

  private textPass(p: Recorder, count: number, group: number): Tensor {
    const rows = this.rowsOf(group);
    const hidden = this.llm.forward(p, this.llm.embedTokens(p, rows, count), rows, 'text');
    advance(p, rows.position, count, rows.first, rows.branches);
    return hidden;
  }

  /** Writes the token that follows the last of `hidden`'s rows to the ids. */
  private chooseNext(p: Recorder, hidden: Tensor): void {
    const { llm } = this;
    const logits = llm.logits(p, hidden.rows === 1 ? hidden : gatherRows(p, hidden, this.last));
    sampleToken(p, logits, this.seed, this.context, llm.vocab_size, this.sampling);
  }

  private program(pass: Item, group: number, sampled: boolean): Promise<Program> {
    if (typeof pass === 'number') return this.text(pass, group, sampled);
    return this.workspace.program(`image of ${group}`, (p) => void this.imagePass(p, group));
  }

  private imagePass(p: Recorder, group: number): Tensor {
    const rows = this.rowsOf(group);
    const { tokens, mask } = this.shown();
    const visual = this.options.sight!.embed(p, tokens, mask);
    p.part('LLM');
    const hidden = this.llm.forward(p, visual, rows, 'image');
    advance(p, rows.position, tokens.rows, rows.first, rows.branches);
    return hidden;
  }

  /** Where an image that is read stands. */
  private shown(): NonNullable<typeof this.image> {
    const [L, d] = this.options.sight!.imageShape;
    this.image ??= {
      tokens: this.workspace.tensor('tokens', 'f32', [L, d]),
      mask: this.workspace.tensor('mask', 'u32', [L]),
    };
    return this.image;
  }

  private showImage({ tokens, mask }: ImageTokens): void {
    const shown = this.shown();
    this.workspace.write(shown.tokens, tokens);
    this.workspace.write(shown.mask, mask ?? new Uint32Array(shown.mask.cols));
  }

  private rowsOf(group: number): Context & { first: number } {
    return { ...this.context, branches: this.copies, first: group * this.copies };
  }

  /** Gives all memory back; the sequence cannot be used any more. */
  async release(): Promise<void> {
    this.device.queue.submit(); // programs may have been run, but not sent
    await this.workspace.release();
  }
}

function commonPrefix(a: readonly Item[], b: readonly Item[]): number {
  let n = 0;
  while (n < a.length && n < b.length && same(a[n], b[n])) n++;
  return n;
}

function same(a: Item, b: Item): boolean {
  if (typeof a === 'number' || typeof b === 'number') return a === b;
  return equalNumbers(a.tokens, b.tokens) && equalNumbers(a.mask ?? [], b.mask ?? []);
}

function equalNumbers(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}
