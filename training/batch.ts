import type { TextTokenizer } from '../loaders/tokenizer.ts';
import type { Config } from '../model/config.ts';
import { drawExample, drawMask, drawNoise, drawTimes, type Example, type Item, type Pictures } from './examples.ts';
import type { PassShape } from './graph.ts';
import type { DrawingExample, ReadingExample } from './passes.ts';
import type { TrainingSettings } from './settings.ts';
import type { Batch, PassPlan } from './trainer.ts';

/** Transfusion's pictures are read at times from 0 to 500. */
const mostReadNoise = 501;

/** Turns what is drawn for a step into ids, masks, times and noise, and says how large its passes may get. */
export class Batches implements PassPlan {
  readonly most: number;
  /** The most ids of any text, image start and end among them. */
  private readonly head: number;
  private readonly tail: number;
  private readonly answer: number;

  /** @param more pictures whose texts must fit too: the held-out share */
  constructor(
    private readonly settings: TrainingSettings,
    private readonly config: Config,
    private readonly tokenizer: TextTokenizer,
    private readonly pictures: Pictures,
    more: readonly Item[] = [],
  ) {
    const all = [...pictures.items, ...(pictures.rehearsed ?? []), ...more];
    this.most = config.variant === 'transfusion' ? 1 : settings.micro_batch;
    const prompts = ['', ...all.flatMap(({ texts }) => texts)].map(
      (text) => tokenizer.drawingPrompt(text).before.length,
    );
    const read = all.flatMap(({ questions }) => questions.map((pair) => this.reading(pair)));
    this.head = 1 + Math.max(...prompts, ...read.map(({ before }) => before.length));
    this.tail = 1 + Math.max(...read.map(({ after }) => after.length));
    this.answer = Math.max(...read.map(({ targets }) => targets.filter((id) => id >= 0).length));
  }

  /** The examples of step `n`. */
  batch(n: number): Batch {
    const { settings, pictures } = this,
      all = Array.from({ length: settings.batch }, (_, i) => drawExample(settings, pictures, n, i));
    return this.of(all, n);
  }

  of(all: readonly Example[], n: number): Batch {
    return {
      drawing: all.flatMap((example) => (example.task === 'generation' ? [this.drawn(example, n)] : [])),
      reading: all.flatMap((example) => (example.task === 'understanding' ? [this.read(example, n)] : [])),
    };
  }

  shape(task: keyof Batch, examples: readonly unknown[]): PassShape {
    const { head, tail, answer, config } = this,
      count = examples.length;
    return task === 'drawing'
      ? { examples: count, head, tail: 0, targets: count * config.image_tokens }
      : { examples: count, head, tail, targets: count * answer };
  }

  private drawn({ item, index, prompt }: Example & { task: 'generation' }, n: number): DrawingExample {
    const { config, settings } = this,
      hidden = drawMask(settings, config.image_tokens, n, index),
      { before } = this.tokenizer.drawingPrompt(prompt);
    return { before, tokens: item.tokens, hidden, ...this.noised(n, index, settings.draws * hidden.length) };
  }

  private read({ item, index, ...pair }: Example & { task: 'understanding' }, n: number): ReadingExample {
    const { config } = this,
      example = { ...this.reading(pair), tokens: item.tokens };
    return config.variant === 'transfusion' ? { ...example, ...this.noised(n, index, 0, mostReadNoise) } : example;
  }

  /** Times and noise of `count` tokens; Transfusion: one time for all of a picture, below `below`. */
  private noised(n: number, index: number, count: number, below = Infinity): { times: number[]; noise: Float32Array } {
    const { config, settings } = this,
      { seed } = settings;
    if (config.variant === 'vq') return { times: [], noise: new Float32Array() };
    const whole = config.variant === 'transfusion',
      { timesteps } = config.diffusion;
    return {
      times: drawTimes(seed, n, index, whole ? 1 : count, Math.min(timesteps, below)),
      noise: drawNoise(seed, n, index, (whole ? config.image_tokens : count) * config.image_tokenizer.embed_dim),
    };
  }

  private reading({ question, answer }: { question: string; answer: string }): Omit<ReadingExample, 'tokens'> {
    const { before, after } = this.tokenizer.readingPrompt(question),
      answered = [...this.tokenizer.encode(answer), ...this.tokenizer.eosIds.slice(0, 1)];
    // The last of the answer's ids is predicted, and predicts nothing.
    const ids = [...after, ...answered.slice(0, -1)],
      targets = ids.map((_, i) => (i < after.length - 1 ? -100 : answered[i - after.length + 1]));
    return { before, after: ids, targets };
  }
}
