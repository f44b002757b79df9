import type { MMAR } from '../model/mmar.ts';
import { type Item, question, wordsOf } from './examples.ts';

/**
 * Pictures that the model draws of what it knows, to be mixed in so that it forgets nothing: of `prompts` in turn where there are
 * some, else of no words, each then named by the model itself.
 */
export async function rehearse(
  model: MMAR,
  count: number,
  prompts: readonly string[],
  seed: number,
  onProgress?: (done: number) => void,
  signal?: AbortSignal,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let i = 0; i < count; i++) {
    items.push(await rehearseOne(model, i, prompts, seed, signal));
    onProgress?.(i + 1);
  }
  return items;
}

/** The picture of that place among them. */
export async function rehearseOne(
  model: MMAR,
  i: number,
  prompts: readonly string[],
  seed: number,
  signal?: AbortSignal,
): Promise<Item> {
  const prompt = prompts.length ? prompts[i % prompts.length] : '';
  const { tokens, codes } = await model.generate({ prompt, seed: seed + i, cfg: prompt ? undefined : 1, signal });
  const name = prompt || (await read(model, tokens, signal));
  return { tokens: codes ?? tokens, ...wordsOf(name) };
}

async function read(model: MMAR, tokens: Float32Array, signal?: AbortSignal): Promise<string> {
  const tokenizer = await model.tokenizer(),
    ids: number[] = [];
  const settings = { temperature: 0, top_p: 1, seed: 0, max_new_tokens: 64, eosIds: tokenizer.eosIds };
  for await (const id of model.read({ ...tokenizer.readingPrompt(question), tokens }, settings, signal)) ids.push(id);
  return tokenizer.decode(ids).trim();
}
