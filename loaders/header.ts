/**
 * The JSON at the head of a safetensors file, read by its own grammar and not by `JSON.parse`, which hides repeated
 * keys, rounds large numbers and builds whatever a hostile file asks for.
 */
import { type DType, isDtype } from './dtype.ts';

/** A tensor as the header tells it; `begin` and `end` count from the first byte after the header. */
export interface Declared {
  name: string;
  dtype: DType;
  shape: number[];
  begin: number;
  end: number;
}

/** More dimensions than any tensor has: a bound on what a header can make us build. */
const MAX_RANK = 64;

/** `text` for a message: quoted, on one line, not too long. */
export const quote = (text: string) => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);

/** Reads a header; `refuse` is called with what is wrong and must throw. */
export function parseHeader(text: string, refuse: (problem: string) => never) {
  const json = new Reader(text, refuse);
  const tensors: Declared[] = [];
  const metadata = new Map<string, string>();
  json.object('the header', (name) => {
    if (name === '__metadata__') {
      json.object(name, (key) => metadata.set(key, json.string(`__metadata__ ${quote(key)}`)));
    } else tensors.push(readEntry(json, name, refuse));
  });
  json.end();
  return { tensors, metadata: Object.fromEntries(metadata) };
}

function readEntry(json: Reader, name: string, refuse: (problem: string) => never): Declared {
  const tensor = `tensor ${quote(name)}`;
  let dtype: string | undefined, shape: number[] | undefined, offsets: number[] | undefined;
  json.object(tensor, (key) => {
    if (key === 'dtype') dtype = json.string(`the dtype of ${tensor}`);
    else if (key === 'shape') shape = json.integers(`the shape of ${tensor}`);
    else if (key === 'data_offsets') offsets = json.integers(`data_offsets of ${tensor}`);
    else refuse(`${tensor} has an unknown key ${quote(key)}`);
  });
  if (dtype === undefined) return refuse(`${tensor} has no dtype`);
  if (!isDtype(dtype)) return refuse(`${tensor} has the unknown dtype ${quote(dtype)}`);
  if (!shape) return refuse(`${tensor} has no shape`);
  if (!offsets) return refuse(`${tensor} has no data_offsets`);
  if (offsets.length !== 2) return refuse(`${tensor} has ${offsets.length} data_offsets in place of 2`);
  return { name, dtype, shape, begin: offsets[0], end: offsets[1] };
}

/** A cursor over JSON text that is told what must come next. */
class Reader {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly refuse: (problem: string) => never,
  ) {}

  /** Calls `readValue` at the value of each key; no key may come twice. */
  object(what: string, readValue: (key: string) => void): void {
    const seen = new Set<string>();
    this.list(what, '{', '}', () => {
      const key = this.string(`a key of ${what}`);
      if (seen.has(key)) this.refuse(`${what} has the key ${quote(key)} twice`);
      seen.add(key);
      if (!this.skip(':')) this.unexpected(`":" after ${quote(key)} in ${what}`);
      readValue(key);
    });
  }

  /** An array of integers from 0 to 2^53 - 1. */
  integers(what: string): number[] {
    const values: number[] = [];
    this.list(what, '[', ']', () => {
      if (values.length === MAX_RANK) this.refuse(`${what} has more than ${MAX_RANK} numbers`);
      this.space();
      const number = /[^\s,\]}]*/y;
      number.lastIndex = this.at;
      const literal = number.exec(this.text)![0];
      const value = /^(0|[1-9]\d{0,15})$/.test(literal) ? Number(literal) : NaN;
      if (!Number.isSafeInteger(value))
        this.refuse(`${what} has ${quote(literal)}, no whole number from 0 to 2^53 - 1`);
      this.at += literal.length;
      values.push(value);
    });
    return values;
  }

  string(what: string): string {
    if (!this.skip('"')) this.unexpected(`a string for ${what}`);
    const start = this.at;
    for (let from = start; ; ) {
      const quoteAt = this.text.indexOf('"', from);
      if (quoteAt < 0) this.refuse(`the string for ${what} does not end`);
      let slashes = 0;
      while (this.text[quoteAt - 1 - slashes] === '\\') slashes++;
      from = quoteAt + 1;
      if (slashes % 2) continue;
      this.at = from;
      const plain = this.text.slice(start, quoteAt);
      if (!/[\\\p{Cc}]/u.test(plain)) return plain;
      try {
        return JSON.parse(`"${plain}"`) as string;
      } catch {
        return this.refuse(`the string for ${what} is no JSON string`);
      }
    }
  }

  /** Nothing but the padding may follow. */
  end(): void {
    this.space();
    if (this.at < this.text.length) this.unexpected('the end of the header');
  }

  private list(what: string, open: string, close: string, readItem: () => void): void {
    if (!this.skip(open)) this.unexpected(`"${open}" for ${what}`);
    if (this.skip(close)) return;
    do readItem();
    while (this.skip(','));
    if (!this.skip(close)) this.unexpected(`"," or "${close}" in ${what}`);
  }

  /** Steps over `character` if it is next. */
  private skip(character: string): boolean {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private space(): void {
    while (' \n\r\t'.includes(this.text[this.at] ?? 'end')) this.at++;
  }

  private unexpected(wanted: string): never {
    const found = this.text.slice(this.at, this.at + 20);
    return this.refuse(
      `character ${this.at} of the header should be ${wanted}, but ${found ? quote(found) : 'the end'} is there`,
    );
  }
}
