import type { TextTokenizer } from '../loaders/tokenizer.ts';
import type { Config } from '../model/config.ts';
import { drawExample, drawMask, drawNoise, drawTimes, type Example, type Item, type Pictures } from './examples.ts';
import type { PassShape } from './graph.ts';
import type { DrawingExample, ReadingExample } from './passes.ts';
import type { TrainingSettings } from './settings.ts';
import type { Batch, PassPlan } from './trainer.ts';

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
    this.most = settings.micro_batch;
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
      reading: all.flatMap((example) =>
        example.task === 'understanding' ? [{ ...this.reading(example), tokens: example.item.tokens }] : [],
      ),
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
    const { settings, config } = this,
      { seed, draws } = settings,
      hidden = drawMask(settings, config.image_tokens, n, index),
      timesteps = 'diffusion' in config ? config.diffusion.timesteps : 1;
    return {
      before: this.tokenizer.drawingPrompt(prompt).before,
      tokens: item.tokens,
      hidden,
      times: drawTimes(seed, n, index, draws * hidden.length, timesteps),
      noise: drawNoise(seed, n, index, draws * hidden.length * config.image_tokenizer.embed_dim),
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
