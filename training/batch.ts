import type { TextTokenizer } from '../loaders/tokenizer.ts';
import type { Config } from '../model/config.ts';
import { type Course, courseOf } from './course.ts';
import { drawExample, drawMask, drawNoise, drawTimes, type Example, type Item, type Pictures } from './examples.ts';
import type { PassShape } from './graph.ts';
import type { DrawingExample, ReadingExample } from './passes.ts';
import type { TrainingSettings } from './settings.ts';
import type { Batch, PassPlan } from './trainer.ts';

/** Turns what is drawn for a step into ids, masks, times and noise, and says how large its passes may get. */
export class Batches implements PassPlan {
  readonly most: number;
  private readonly course: Course;
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
    this.course = courseOf(config);
    this.most = this.course.together ? settings.micro_batch : 1;
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
    const { config, course, settings } = this,
      L = config.image_tokens,
      hidden = course.hidesAll ? Array.from({ length: L }, (_, i) => i) : drawMask(settings, L, n, index),
      { before } = this.tokenizer.drawingPrompt(prompt);
    return { before, tokens: item.tokens, hidden, ...this.noised(n, index, hidden.length) };
  }

  private read({ item, index, ...pair }: Example & { task: 'understanding' }, n: number): ReadingExample {
    const { config, course } = this,
      example = { ...this.reading(pair), tokens: item.tokens },
      below = course.readBelow;
    return below === undefined ? example : { ...example, ...this.noised(n, index, config.image_tokens, below) };
  }

  /** Times, each below `below`, and noise of a picture of which `hidden` tokens are hidden. */
  private noised(n: number, index: number, hidden: number, below = Infinity): Pick<DrawingExample, 'times' | 'noise'> {
    const { config, course, settings } = this,
      { seed, draws } = settings,
      timesteps = 'diffusion' in config ? config.diffusion.timesteps : 0,
      numbers = course.noised(draws, hidden) * config.image_tokenizer.embed_dim;
    return {
      times: drawTimes(seed, n, index, course.times(draws, hidden), Math.min(timesteps, below)),
      noise: drawNoise(seed, n, index, numbers),
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
