/**
 * Safetensors files: eight bytes of header length, a JSON header, then the tensors' bytes end to end. The format and
 * what a reader must refuse are those of huggingface/safetensors (`README.md` and `safetensors/src/tensor.rs`).
 */
import { checkCancelled, MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';
import { DTYPE_BYTES, type DType } from './dtype.ts';
import { type Declared, parseHeader, quote } from './header.ts';

export { DTYPE_BYTES, type DType, toBf16, toF32, toInts } from './dtype.ts';
export { quote } from './header.ts';

/** One tensor of a file: `offset` counts from the file's first byte, `bytes` is its length. */
export interface TensorEntry {
  name: string;
  dtype: DType;
  shape: number[];
  offset: number;
  bytes: number;
}

/** What a file's header says: tensors in its order, and its free text. */
export interface Header {
  tensors: Map<string, TensorEntry>;
  metadata: Record<string, string>;
}

/** The official limit: a longer header is an attack or no safetensors file. */
const MAX_HEADER = 100_000_000;

/**
 * Reads and checks a file's header: every tensor's type, shape and place agree, and together they cover the data
 * exactly. Nothing is allocated on the word of the file alone.
 *
 * Throws `file` for whatever is wrong with it.
 */
export async function readHeader(source: Source, file: string, signal?: AbortSignal): Promise<Header> {
  const refuse = (problem: string): never => {
    throw new MMARError(
      'file',
      `${file} in ${source.name} is no sound safetensors file: ${problem}: download it again`,
    );
  };
  const size = await source.size(file, signal);
  if (size === undefined) throw new MMARError('file', `${source.name} has no ${file}: check the path and the name`);
  if (size < 8) return refuse(`it has ${size} bytes, fewer than 8`);
  const head = new Uint8Array(8);
  await source.read(file, 0, head, signal);
  const length = new DataView(head.buffer).getBigUint64(0, true);
  if (length > MAX_HEADER) return refuse(`its header has ${length} bytes, over the limit of ${MAX_HEADER}`);
  const start = 8 + Number(length);
  if (start > size) return refuse(`its header has ${length} bytes, but ${size - 8} are left in the file`);
  const header = new Uint8Array(Number(length));
  await source.read(file, 8, header, signal);
  checkCancelled(signal);
  if (header[0] !== 0x7b) return refuse('its header does not begin with "{"');
  const { tensors, metadata } = parseHeader(decodeUTF8(header) ?? refuse('its header is not UTF-8'), refuse);
  checkLayout(tensors, size - start, refuse);
  const entry = ({ name, dtype, shape, begin, end }: Declared): [string, TensorEntry] => [
    name,
    { name, dtype, shape, offset: start + begin, bytes: end - begin },
  ];
  return { tensors: new Map(tensors.map(entry)), metadata };
}

/** The tensors' ranges must fit their types and shapes, and tile the data from its first byte to its last. */
function checkLayout(tensors: Declared[], size: number, refuse: (problem: string) => never): void {
  let covered = 0;
  for (const { name, dtype, shape, begin, end } of [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    const tensor = `tensor ${quote(name)}`;
    const place = `data_offsets [${begin}, ${end}]`;
    let wanted: number = DTYPE_BYTES[dtype];
    for (const length of shape) {
      wanted *= length;
      if (!Number.isSafeInteger(wanted)) refuse(`${tensor} of shape [${shape}] has more than 2^53 bytes`);
    }
    if (end < begin) refuse(`${tensor} has the ${place}, which end before they begin`);
    if (end - begin !== wanted) {
      refuse(`${tensor}, ${dtype} [${shape}], needs ${wanted} bytes, but its ${place} hold ${end - begin}`);
    }
    if (end > size) refuse(`${tensor} has the ${place}, but the file has only ${size} bytes of data: it is cut short`);
    if (begin < covered) refuse(`${tensor} has the ${place}, which overlap a tensor that ends at ${covered}`);
    if (begin > covered) refuse(`${tensor} has the ${place}, which leave a hole after ${covered}`);
    covered = end;
  }
  if (covered < size) refuse(`its tensors end at ${covered}, but ${size} bytes of data are there`);
}

/** All bytes of one tensor, [entry.bytes]. Throws `file` where the file has fewer. */
export async function readTensor(
  source: Source,
  file: string,
  entry: TensorEntry,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(entry.bytes);
  if (bytes.length) await source.read(file, entry.offset, bytes, signal);
  return bytes;
}

/** A tensor to be written: `data.byteLength` must be what its type and shape need. */
export interface TensorData {
  name: string;
  dtype: DType;
  shape: number[];
  data: ArrayBufferView;
}

/**
 * Places tensors in a file that is yet to be written: the bytes of its head (length and header, padded to 8) and the
 * entries in the order in which their bytes must follow it. Larger elements come first, then names in order, so each
 * tensor is aligned and the same tensors give the same file.
 *
 * Throws `usage` for a name that is taken or reserved.
 */
export function layOut(tensors: Omit<TensorData, 'data'>[], metadata: Record<string, string> = {}) {
  const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = [...tensors].sort((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || byName(a.name, b.name));
  const names = new Set(['__metadata__']);
  const lines: string[] = [];
  const texts = Object.entries(metadata).sort(([a], [b]) => byName(a, b));
  const pair = ([key, value]: [string, string]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  if (texts.length) lines.push(`"__metadata__":{${texts.map(pair)}}`);
  let at = 0;
  const entries = sorted.map(({ name, dtype, shape }): TensorEntry => {
    if (names.has(name)) throw new MMARError('usage', `the tensor name ${quote(name)} is taken: give each its own`);
    names.add(name);
    const bytes = shape.reduce((product, length) => product * length, DTYPE_BYTES[dtype]);
    const place = { dtype, shape, data_offsets: [at, at + bytes] };
    lines.push(`${JSON.stringify(name)}:${JSON.stringify(place)}`);
    at += bytes;
    return { name, dtype, shape, offset: at - bytes, bytes };
  });
  const text = new TextEncoder().encode(`{${lines}}`);
  const head = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(text, 8);
  for (const entry of entries) entry.offset += head.length;
  return { head, entries };
}

/** A whole file in memory. Throws `shape` where a tensor's bytes do not fit its type and shape; else as `layOut`. */
export function safetensorsBytes(
  tensors: TensorData[],
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const { head, entries } = layOut(tensors, metadata);
  const data = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
  const out = new Uint8Array(entries.reduce((size, entry) => size + entry.bytes, head.length));
  out.set(head);
  for (const { name, dtype, shape, offset, bytes } of entries) {
    const { buffer, byteOffset, byteLength } = data.get(name)!;
    if (byteLength !== bytes) {
      throw new MMARError(
        'shape',
        `tensor ${quote(name)}, ${dtype} [${shape}], needs ${bytes} bytes, not ${byteLength}`,
      );
    }
    out.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
  }
  return out;
}

/** Text of UTF-8 bytes, a byte-order mark kept; undefined where they are no UTF-8. */
export function decodeUTF8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
