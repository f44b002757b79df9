import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { Profile } from '../engine/profile.ts';
import type { MMAR } from '../model/mmar.ts';
import type { ModelRow } from './report.ts';
import { drawingOf, TextRun } from './workload.ts';

export interface FigureOptions {
  /** Seconds after which a drawing is left and its time told by the steps that were done. */
  budget?: number;
  /** Tokens of text that are read, if the model has positions for them. */
  text?: number;
  signal?: AbortSignal;
  onProgress?: (what: string) => void;
  onRow?: (row: ModelRow) => void;
  /** Why a figure is missing. */
  onNote?: (note: string) => void;
}

/** Times what a model does, by the clock until the queue is empty; a figure a row. What the signal cuts off a note names. */
export async function modelFigures(
  model: MMAR,
  name: string,
  { budget = 60, text, signal, onProgress, onRow, onNote }: FigureOptions = {},
): Promise<ModelRow[]> {
  const rows: ModelRow[] = [];
  const figures = new Figures(model, budget, signal, (figure, value, unit) => {
    const row = { model: name, figure, value, unit };
    rows.push(row);
    onRow?.(row);
  });
  const parts = [
    { what: 'reading text', run: () => figures.text(text) },
    { what: 'the image tokenizer', run: () => figures.tokenizer() },
    { what: 'drawing', run: () => figures.drawing() },
    // That many may be too much for the device's memory: the others' figures stand.
    { what: 'drawing 4 at once', run: () => figures.pictures(4), mayFail: true },
    { what: 'drawing 16 at once', run: () => figures.pictures(16), mayFail: true },
  ];
  for (const [i, { what, run, mayFail }] of parts.entries()) {
    onProgress?.(`${name}: ${what}`);
    try {
      await run();
    } catch (error) {
      const cut = error instanceof MMARError && error.code === 'cancelled',
        left = parts.slice(i).map(({ what }) => what);
      if (cut) onNote?.(`${name}: left out or not finished: ${left.join(', ')}`);
      if (cut || !mayFail) throw error;
      onNote?.(`${name}: left out: ${left.join(', ')}: ${(error as Error).message}`);
      break;
    }
  }
  return rows;
}

/** What is timed of a model, part by part. */
export class Figures {
  private readonly device: Device;

  constructor(
    private readonly model: MMAR,
    private readonly budget: number,
    private readonly signal: AbortSignal | undefined,
    private readonly add: (figure: string, value: number, unit: string) => void,
  ) {
    this.device = model.device;
  }

  /** Prefill and decoding, behind so much text, or as much as the model has positions for. */
  async text(most = 512): Promise<void> {
    const decoded = 1 + Math.min(16, most / 16),
      length = Math.min(most, this.model.config.llm.max_position_embeddings - decoded - 1),
      text = new TextRun(this.model, length, decoded);
    const prefill = () => text.prefill(this.signal),
      decode = (count: number) => text.decode(count, this.signal);
    try {
      this.add(`first token of ${length}, with compiling`, await this.seconds(prefill), 's');
      this.add(`text prefill of ${length}`, length / (await this.seconds(prefill)), 'tokens/s');
      await this.seconds(() => decode(2)); // compiles
      await this.seconds(prefill);
      const seconds = await this.seconds(() => decode(decoded - 1));
      this.add(`decoding behind ${length}`, (decoded - 1) / seconds, 'tokens/s');
    } finally {
      await text.release();
    }
  }

  /** A picture to its tokens and back. */
  async tokenizer(): Promise<void> {
    const { config } = this.model,
      { resolution, in_channels, embed_dim } = config.image_tokenizer;
    const planes = Float32Array.from({ length: in_channels * resolution ** 2 }, (_, i) => Math.sin(i)),
      tokens = new Float32Array(config.image_tokens * embed_dim);
    const encode = () => this.model.encodePixels(planes, this.signal),
      decode = () => this.model.decode({ tokens, signal: this.signal });
    await this.seconds(encode);
    this.add('picture to tokens', 1000 * (await this.seconds(encode)), 'ms');
    await this.seconds(decode);
    this.add('tokens to picture', 1000 * (await this.seconds(decode)), 'ms');
  }

  /** A picture with guidance and the model's own settings: a step by part, how many a minute there would be, and the memory. */
  async drawing(): Promise<void> {
    const { device } = this,
      before = device.queue.profile,
      start = performance.now();
    try {
      await this.pictures(1, (steps) => {
        const first = (performance.now() - start) / 1000;
        if (steps === 1) this.add('first step of a picture, with prefill and compiling', first, 's');
        if (steps === 2) this.parts(device.queue.profile);
        device.queue.profile = steps === 1 ? new Profile(device.gpu) : before;
      });
    } finally {
      device.queue.profile = before;
    }
    const { weights, peak } = await this.model.memory();
    this.add('weights', weights / 1e6, 'MB');
    this.add('peak memory on the device', peak / 1e6, 'MB');
  }

  /** How many pictures a minute there would be, so many drawn side by side; `onStep` is told each step that is done. */
  async pictures(count: number, onStep: (steps: number) => void = () => {}): Promise<void> {
    const { model, device, signal } = this,
      settings = { ...model.defaults, cfg: 3 },
      start = performance.now();
    let last = start,
      steps = 0,
      iterations = 0,
      timed = 0;
    for await (const step of model.draw(drawingOf(model, count), settings, signal)) {
      await device.queue.idle(signal);
      steps++;
      iterations = step.iterations;
      if (steps > 1) timed += (performance.now() - last) / 1000; // the first step compiles
      onStep(steps);
      last = performance.now();
      if (steps > 1 && (last - start) / 1000 > this.budget && step.known < step.total) break;
    }
    if (!timed) return;
    const seconds = (timed / (steps - 1)) * iterations,
      of = steps < iterations ? `, from ${steps} of ${iterations} steps` : '';
    this.add(`pictures a minute, ${count === 1 ? 'one' : count} at once${of}`, (60 * count) / seconds, 'pictures');
  }

  private parts(profile: Profile | undefined): void {
    const parts = Object.entries(profile?.seconds ?? {});
    for (const [part, seconds] of parts) this.add(`second step of a picture: ${part}`, 1000 * seconds, 'ms');
    const dispatches = Object.entries(profile?.dispatches ?? {});
    for (const [part, count] of dispatches) this.add(`second step of a picture: ${part}`, count, 'dispatches');
  }

  private async seconds(run: () => Promise<unknown>): Promise<number> {
    const start = performance.now();
    await run();
    await this.device.queue.idle(this.signal);
    return (performance.now() - start) / 1000;
  }
}
