/** Mistakes in files, each made from a seed: flipped bits, cut and stretched files, wrong lengths, mutated JSON. */

/** Random numbers, the same in every run. */
export class Random {
  constructor(private state: number) {}

  /** A whole number from 0 to `end - 1`. */
  below(end: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * end);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

const numbers = ['0', '-1', '0.5', '3', '1e6', '1e9', '2147483647', '9007199254740993', '1e308', '1e999', '-0', '1E-9'];
const values = ['null', '""', '[]', '{}', 'true', '[[1]]', '{"a":{"b":1}}', '"\\u0000"', '"\\ud800"', '01', 'NaN', ','];
const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

/** One mistake in a JSON text. */
export function mutateText(text: string, random: Random): string {
  const places = (pattern: RegExp) => [...text.matchAll(pattern)];
  const replaced = (match: RegExpExecArray | RegExpMatchArray | undefined, by: string) =>
    match ? text.slice(0, match.index) + by + text.slice(match.index! + match[0].length) : text;
  const number = () => random.of(places(/(?<=[:,[]\s*)-?\d[\d.eE+-]*/g)),
    value = () => random.of(places(/(?<=:\s*)("[^"\\]*"|-?\d[\d.eE+-]*|true|false|null)/g)),
    pair = () => random.of(places(/"[^"\\]*"\s*:\s*("[^"\\]*"|-?\d[\d.eE+-]*|true|false|null)\s*,/g));
  const kinds: (() => string)[] = [
    () => replaced(number(), random.of(numbers)),
    () => replaced(value(), random.of([...numbers, ...values])),
    () => replaced(value(), deep(random.of([2, 60, 1000, 100_000]))),
    () => replaced(value(), `"${'x'.repeat(random.of([10, 100_000]))}"`),
    () => {
      const found = pair(); // a key twice, with the same value and with another
      return replaced(found, `${found?.[0]} ${found?.[0].replace(/\d(?=\D*$)/, random.of(['', '7']))}`);
    },
    () => replaced(pair(), ''),
    () => replaced(random.of(places(/"[^"\\]+"(?=\s*:)/g)), random.of(['""', '"__proto__"', '"constructor"', '"x"'])),
    () => text.slice(0, random.below(text.length)),
    () => text + random.of([' ', '\0', '}', text]),
  ];
  return random.of(kinds)();
}

/** One mistake in the bytes of any file. */
export function mutateBytes(bytes: Uint8Array, random: Random, most = bytes.length): Uint8Array {
  const at = random.below(Math.min(most, bytes.length));
  const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
  const flipped = (times: number) => {
    const copy = bytes.slice();
    for (let i = 0; i < times; i++) copy[random.below(Math.min(most, copy.length))] ^= 1 << random.below(8);
    return copy;
  };
  const kinds: (() => Uint8Array)[] = [
    () => flipped(1),
    () => flipped(1 + random.below(20)),
    () => bytes.slice(0, at),
    () => bytes.slice(0, bytes.length - 1 - random.below(16)),
    () => joined(bytes, new Uint8Array(1 + random.below(16))),
    () => joined(bytes.subarray(0, at), bytes.subarray(at + 1)),
    () => joined(bytes.subarray(0, at), Uint8Array.of(random.below(256)), bytes.subarray(at)),
  ];
  return random.of(kinds)();
}

/** One mistake in a safetensors file: in its length, in its header, or anywhere in its first bytes. */
export function mutateWeights(bytes: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)),
    data = bytes.subarray(8 + length);
  const head = (text: string | Uint8Array, size?: bigint) => {
    const header = Buffer.from(text),
      start = Buffer.alloc(8);
    start.writeBigUInt64LE(size ?? BigInt(header.length));
    return new Uint8Array(Buffer.concat([start, header, data]));
  };
  const header = bytes.subarray(8, 8 + length);
  const lengths = [0n, 1n, BigInt(length - 1), BigInt(length + 1), BigInt(bytes.length), 1n << 32n, (1n << 64n) - 1n];
  return random.of([
    () => head(header, random.of(lengths)),
    () => head(mutateText(Buffer.from(header).toString(), random)),
    () => head(mutateBytes(header, random)),
    () => mutateBytes(bytes, random, 8 + length + 64),
  ])();
}
