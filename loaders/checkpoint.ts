/** A checkpoint's folder: where each tensor lies, and the JSON beside the weights. */
import { checkCancelled, MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';
import { parseJSON } from './json.ts';
import { decodeUTF8, type Header, quote, readHeader, type TensorEntry } from './safetensors.ts';

/** Where a tensor's bytes are; its name in the file may be another than in the checkpoint. */
export interface TensorPlace {
  source: Source;
  file: string;
  entry: TensorEntry;
}

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const SHARDS_AT_ONCE = 4;
const MAX_TEXT = 200_000_000;

/** Tensors by name from one source or several, and the other files of `source`. Holds no tensor's bytes. */
export class Checkpoint {
  constructor(
    readonly source: Source,
    readonly tensors: Map<string, TensorPlace>,
  ) {}

  /** Fills `into` with a tensor's bytes from `fromByte` on. Throws `checkpoint` where the tensor is missing. */
  async read(name: string, fromByte: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { source, file, entry } = this.place(name);
    if (fromByte < 0 || fromByte + into.length > entry.bytes) {
      throw new MMARError('shape', `${name} has ${entry.bytes} bytes: ${into.length} from ${fromByte} are not there`);
    }
    if (into.length) await source.read(file, entry.offset + fromByte, into, signal);
  }

  /** Where a tensor is. Throws `checkpoint` where the checkpoint has none of that name. */
  place(name: string): TensorPlace {
    const place = this.tensors.get(name);
    if (place) return place;
    throw new MMARError(
      'checkpoint',
      `${this.source.name} has no tensor ${quote(name)}: check that it is an MMAR checkpoint`,
    );
  }

  /** The parsed content of a JSON file; undefined where there is none. Throws `checkpoint` where it is no JSON. */
  json(file: string, signal?: AbortSignal): Promise<unknown> {
    return readJSON(this.source, file, signal);
  }

  /** The content of a text file; undefined where there is none. Throws `checkpoint` where it is not UTF-8. */
  text(file: string, signal?: AbortSignal): Promise<string | undefined> {
    return readText(this.source, file, signal);
  }
}

/**
 * Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names; reads and checks their headers.
 *
 * Throws `checkpoint` where there is neither, or where index and shards disagree; `file` for a broken file.
 */
export async function openCheckpoint(source: Source, signal?: AbortSignal): Promise<Checkpoint> {
  const tensors = new Map<string, TensorPlace>();
  if ((await source.size(WEIGHTS, signal)) !== undefined) {
    const header = await readHeader(source, WEIGHTS, signal);
    for (const [name, entry] of header.tensors) tensors.set(name, { source, file: WEIGHTS, entry });
    return new Checkpoint(source, tensors);
  }
  const index = await readJSON(source, INDEX, signal);
  if (index === undefined) {
    throw new MMARError(
      'checkpoint',
      `${source.name} is no checkpoint: it has neither ${WEIGHTS} nor ${INDEX}: check the path`,
    );
  }
  const listed = weight_map(source, index);
  const shards = [...new Set(listed.values())];
  const headers = await readShards(source, shards, signal);
  shards.forEach((file, i) => {
    for (const [name, entry] of headers[i].tensors) {
      const other = tensors.get(name)?.file;
      if (other) throw disagree(source, `tensor ${quote(name)} is in both ${other} and ${file}`);
      const wanted = listed.get(name);
      if (wanted && wanted !== file) {
        throw disagree(source, `tensor ${quote(name)} is in ${file}, but ${INDEX} puts it into ${wanted}`);
      }
      tensors.set(name, { source, file, entry });
    }
  });
  for (const [name, file] of listed) {
    if (!tensors.has(name)) throw disagree(source, `tensor ${quote(name)} is not in ${file}, where ${INDEX} puts it`);
  }
  return new Checkpoint(source, tensors);
}

/** The index's tensors and their shards; a shard's name must lead nowhere but into the folder. */
function weight_map(source: Source, index: unknown): Map<string, string> {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new MMARError('checkpoint', `${INDEX} in ${source.name} has no object "weight_map": download it again`);
  }
  const listed = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isPlainPath(file)) {
      const shown = typeof file === 'string' ? quote(file) : typeof file;
      throw new MMARError(
        'checkpoint',
        `${INDEX} in ${source.name} puts ${quote(name)} into ${shown}, which is no file of this folder: ` +
          `do not use it`,
      );
    }
    listed.set(name, file);
  }
  return listed;
}

/** Whether `file` is a path below the folder, with nothing in it that a file system or a URL takes for more. */
const isPlainPath = (file: string) =>
  !/[\\:?#%\p{Cc}]/u.test(file) && file.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

/** The shards' headers in order, a few read at once; the first failure stops the rest. */
async function readShards(source: Source, shards: string[], signal?: AbortSignal): Promise<Header[]> {
  const headers: Header[] = [];
  const errors: unknown[] = [];
  let next = 0;
  const worker = async () => {
    while (next < shards.length && !errors.length) {
      const i = next++;
      try {
        headers[i] = await readShard(source, shards[i], signal);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: SHARDS_AT_ONCE }, worker));
  if (errors.length) throw errors[0];
  return headers;
}

async function readShard(source: Source, file: string, signal?: AbortSignal): Promise<Header> {
  if ((await source.size(file, signal)) !== undefined) return readHeader(source, file, signal);
  throw disagree(source, `${INDEX} names ${quote(file)}, which is not there`);
}

const disagree = (source: Source, problem: string) =>
  new MMARError('checkpoint', `${source.name}: ${problem}: download the checkpoint again`);

/** The content of a text file; undefined where there is none. Throws `checkpoint` where it is not UTF-8 or too long. */
export async function readText(source: Source, file: string, signal?: AbortSignal): Promise<string | undefined> {
  const size = await source.size(file, signal);
  if (size === undefined) return undefined;
  if (size > MAX_TEXT) {
    throw new MMARError('checkpoint', `${file} in ${source.name} has ${size} bytes, over the limit of ${MAX_TEXT}`);
  }
  const bytes = new Uint8Array(size);
  if (size) await source.read(file, 0, bytes, signal);
  checkCancelled(signal);
  const text = decodeUTF8(bytes);
  if (text === undefined) {
    throw new MMARError('checkpoint', `${file} in ${source.name} is not UTF-8 text: download it again`);
  }
  return text;
}

/** The parsed content of a JSON file; undefined where there is none. Throws `checkpoint` where it is no JSON. */
export async function readJSON(source: Source, file: string, signal?: AbortSignal): Promise<unknown> {
  const text = await readText(source, file, signal);
  if (text === undefined) return undefined;
  try {
    return parseJSON(text);
  } catch (cause) {
    const problem = (cause as Error).message.replace(/\s+/g, ' ').slice(0, 300);
    throw new MMARError(
      'checkpoint',
      `${file} in ${source.name} is no JSON (${problem}): mend it or download it again`,
      { cause },
    );
  }
}
