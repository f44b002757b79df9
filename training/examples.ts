import { Draws } from './random.ts';
import type { TrainingSettings } from './settings.ts';

/** One picture of the data and the texts that go with it. */
export interface Item {
  /** f32 [L, d] (VQ: codes [L]), what the frozen image tokenizer made of the picture. */
  tokens: ArrayLike<number>;
  /** What it is drawn from: one is drawn. */
  texts: string[];
  /** One pair is drawn. */
  questions: { question: string; answer: string }[];
}

/** What a picture is asked where its words have no question. */
export const question = 'What is this?';

/** A picture's words where there are no others: what it is drawn from is what it shows. */
export const wordsOf = (text: string): Omit<Item, 'tokens'> => ({
  texts: [text],
  questions: [{ question, answer: text }],
});

/** What one example of a step is: spec training.md, section 2. */
export type Example = { item: Item; index: number } & (
  | { task: 'generation'; prompt: string }
  | { task: 'understanding'; question: string; answer: string }
);

/** What examples are drawn from. */
export interface Pictures {
  items: readonly Item[];
  /** Mixed in, so that what is known is not forgotten. */
  rehearsed?: readonly Item[];
}

/** Example `index` of step `step`: its task, its picture (each once a round, in a random order) and its words. */
export function drawExample(
  settings: TrainingSettings,
  { items, rehearsed = [] }: Pictures,
  step: number,
  index: number,
): Example {
  const { seed, batch, conditional, understanding, drop_prompt } = settings,
    draws = new Draws(seed, step, 'example', index),
    task = draws.uniform(),
    which = draws.uniform(),
    dropped = draws.uniform() < drop_prompt,
    again = rehearsed.length > 0 && draws.uniform() < settings.rehearsed,
    pictures = again ? rehearsed : items;
  const place = step * batch + index,
    round = Math.floor(place / pictures.length),
    item = pictures[new Draws(seed, round, 'order').permutation(pictures.length)[place % pictures.length]];
  if (task < understanding)
    return { task: 'understanding', item, index, ...item.questions[Math.floor(which * item.questions.length)] };
  const empty = dropped || task >= understanding + conditional;
  return { task: 'generation', item, index, prompt: empty ? '' : item.texts[Math.floor(which * item.texts.length)] };
}

/** Hidden positions of a generation example, ascending: ceil(ratio · L) of a random permutation, at least 1. */
export function drawMask(settings: TrainingSettings, L: number, step: number, index: number): Uint32Array<ArrayBuffer> {
  const { seed, mask_mean, mask_deviation, mask_least } = settings,
    draws = new Draws(seed, step, 'mask', index);
  let ratio = mask_mean + mask_deviation * draws.normal();
  while (!(ratio >= mask_least && ratio <= 1)) ratio = mask_mean + mask_deviation * draws.normal();
  return draws
    .permutation(L)
    .subarray(0, Math.max(1, Math.ceil(ratio * L)))
    .sort();
}

/** `count` times, uniform in 0 … below-1. */
export function drawTimes(seed: number, step: number, index: number, count: number, below: number): number[] {
  const draws = new Draws(seed, step, 'time', index);
  return Array.from({ length: count }, () => draws.below(below));
}

/** `count` numbers of normal noise. */
export function drawNoise(seed: number, step: number, index: number, count: number): Float32Array {
  const draws = new Draws(seed, step, 'noise', index);
  return Float32Array.from({ length: count }, () => draws.normal());
}
