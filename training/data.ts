import { checkCancelled, MMARError } from '../base/error.ts';
import type { Platform, Source } from '../base/platform.ts';
import { type Checkpoint, readText } from '../loaders/checkpoint.ts';
import { readHeader, readTensor, safetensorsBytes, toF32 } from '../loaders/safetensors.ts';
import type { MMAR } from '../model/mmar.ts';
import { type Item, question as what } from './examples.ts';

/** A picture of the data folder and its words, as `metadata.jsonl` has them (spec: training.md, section 6). */
export interface Entry extends Omit<Item, 'tokens'> {
  file_name: string;
}

const metadataFile = 'metadata.jsonl';

/** Reads the words of an `imagefolder`. Throws `file`, with the line and what is wrong with it. */
export async function readMetadata(folder: Source, signal?: AbortSignal): Promise<Entry[]> {
  const text = await readText(folder, metadataFile, signal);
  if (text === undefined)
    throw new MMARError(
      'file',
      `${folder.name} has no ${metadataFile}; write one with a line {"file_name": …, "text": …} for each picture`,
    );
  const lines = text
    .split('\n')
    .map((line, i) => ({ line: line.trim(), place: `${folder.name}: ${metadataFile}, line ${i + 1}` }));
  const entries = lines.filter(({ line }) => line).map(({ line, place }) => parseLine(line, place));
  if (entries.length) return entries;
  throw new MMARError('file', `${folder.name}: ${metadataFile} is empty; give one picture or more`);
}

function parseLine(line: string, place: string): Entry {
  const refuse = (problem: string): never => {
    throw new MMARError('file', `${place}: ${problem}`);
  };
  let json: Record<string, unknown> | null = null;
  try {
    json = JSON.parse(line) as typeof json;
  } catch {
    refuse('it is no JSON; give {"file_name": …, "text": …}');
  }
  const { file_name, text, question, answer }: Record<string, unknown> = json ?? {};
  const list = (key: string, value: unknown): string[] => {
    const all = Array.isArray(value) ? value : [value];
    if (all.length && all.every((one) => typeof one === 'string')) return all;
    return refuse(`${key} is ${JSON.stringify(value)}; give a text or a list of texts`);
  };
  if (typeof file_name !== 'string' || !file_name)
    return refuse(`file_name is ${JSON.stringify(file_name)}; give a picture's name`);
  const texts = list('text', text);
  if (question === undefined && answer === undefined)
    return { file_name, texts, questions: texts.map((answer) => ({ question: what, answer })) };
  const questions = list('question', question),
    answers = list('answer', answer);
  if (questions.length !== answers.length)
    refuse(`it has ${questions.length} questions and ${answers.length} answers; give as many of each`);
  return { file_name, texts, questions: questions.map((question, i) => ({ question, answer: answers[i] })) };
}

/** A file that keeps the tokens of pictures from one run to the next. */
export interface TokenCache {
  source: Source;
  file: string;
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * The tokens of every picture: from the cache where this picture's bytes and this image tokenizer's are known to it, else made
 * by the model and kept. Throws `picture` or `file` with the picture's name.
 */
export async function encodeEntries(
  model: MMAR,
  checkpoint: Checkpoint,
  platform: Pick<Platform, 'decodePicture'>,
  folder: Source,
  entries: readonly Entry[],
  cache?: TokenCache,
  onProgress?: (done: number) => void,
  signal?: AbortSignal,
): Promise<Item[]> {
  const tokenizer = await tokenizerKey(checkpoint, signal),
    known = cache ? await readCache(cache, tokenizer, signal) : new Map<string, Float32Array>(),
    before = known.size,
    items: Item[] = [];
  for (const [i, { file_name, texts, questions }] of entries.entries()) {
    checkCancelled(signal);
    const bytes = await readAll(folder, file_name, signal),
      key = await digest(bytes);
    const encode = async (): Promise<ArrayLike<number>> => {
      const image = await platform.decodePicture(bytes, `${folder.name}: ${file_name}`),
        { tokens, codes } = await model.encode({ image, signal });
      return codes ?? tokens;
    };
    const tokens = known.get(key) ?? (await encode());
    known.set(key, Float32Array.from(tokens));
    items.push({ tokens, texts, questions });
    onProgress?.(i + 1);
  }
  if (cache && known.size > before) {
    const tensors = [...known].map(([name, data]) => ({ name, dtype: 'F32' as const, shape: [data.length], data }));
    await cache.write(safetensorsBytes(tensors, { image_tokenizer: tokenizer }));
  }
  return items;
}

async function readCache(
  { source, file }: TokenCache,
  tokenizer: string,
  signal?: AbortSignal,
): Promise<Map<string, Float32Array>> {
  const known = new Map<string, Float32Array>();
  if ((await source.size(file, signal)) === undefined) return known;
  const { tensors, metadata } = await readHeader(source, file, signal);
  if (metadata.image_tokenizer !== tokenizer) return known;
  for (const [name, entry] of tensors)
    known.set(name, Float32Array.from(toF32(entry, await readTensor(source, file, entry, signal))));
  return known;
}

async function readAll(folder: Source, file: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const size = await folder.size(file, signal);
  if (size === undefined) throw new MMARError('file', `${folder.name} has no ${file}, which ${metadataFile} names`);
  const bytes = new Uint8Array(size);
  await folder.read(file, 0, bytes, signal);
  return bytes;
}

/** What tells one image tokenizer from another: the digest of all its tensors. */
async function tokenizerKey(checkpoint: Checkpoint, signal?: AbortSignal): Promise<string> {
  const names = [...checkpoint.tensors.keys()].filter((name) => name.startsWith('image_tokenizer.')).sort(),
    parts: string[] = [];
  for (const name of names) {
    const bytes = new Uint8Array(checkpoint.place(name).entry.bytes);
    await checkpoint.read(name, 0, bytes, signal);
    parts.push(`${name} ${await digest(bytes)}`);
  }
  return digest(new TextEncoder().encode(parts.join('\n')));
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
