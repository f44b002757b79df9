import type { Source } from '../base/platform.ts';
import { bf16Bits } from '../engine/tensor.ts';
import { Checkpoint, type TensorPlace } from '../loaders/checkpoint.ts';
import { memorySource } from '../loaders/memory_source.ts';
import { parseConfig } from './config.ts';
import { systemOf } from './variants/index.ts';
import { Weights } from './weights.ts';

/** Every tensor that a model of this config has, by name, with its shape: the model's own declaration. */
export function declaredTensors(config: unknown, place: string): Map<string, number[]> {
  return systemOf(new Weights('bf16', 'bf16', Infinity), parseConfig(config, place)).weights.required;
}

/** A checkpoint without bytes, of a config alone: it can be inspected and planned, but not read. */
export function declaredCheckpoint(config: unknown, name: string): Checkpoint {
  const source = memorySource(name, new Map([['config.json', new TextEncoder().encode(JSON.stringify(config))]]));
  const place = (tensor: string, shape: number[]): TensorPlace => ({
    source,
    file: 'model.safetensors',
    entry: { name: tensor, dtype: 'BF16', shape, offset: 0, bytes: shape.reduce((a, b) => a * b, 2) },
  });
  return new Checkpoint(
    source,
    new Map([...declaredTensors(config, name)].map(([tensor, shape]) => [tensor, place(tensor, shape)])),
  );
}

/**
 * The standard deviation of a tensor's random values: 1/√fanIn for matrices, small for biases and what is added to
 * activations; 0 for the weights of norms, which are all 1.
 */
export function deviation(name: string, shape: readonly number[]): number {
  if (/\.bias$|embed_tokens|pos_embed|mask_token|^image_(start|end)$/.test(name)) return 0.02;
  return shape.length === 1 ? 0 : 1 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b, 1));
}

/** Values of random bf16 tensors: a value depends on the seed, the tensor's name and its index alone. */
export class RandomTensor {
  private readonly table: Uint16Array;
  private readonly key: readonly [number, number];

  constructor(name: string, shape: readonly number[], seed: number) {
    this.table = quantiles(deviation(name, shape));
    this.key = keyOf(name, seed);
  }

  /** bf16 bits of the values from index `first` on, which is even. */
  fill(first: number, out: Uint16Array): void {
    const {
      table,
      key: [k0, k1],
    } = this;
    for (let i = 0, counter = first / 2; i < out.length; i += 2, counter++) {
      const word = mix((Math.imul(counter, 0x9e3779b9) + k0) | 0, k1);
      out[i] = table[word & 0xffff];
      if (i + 1 < out.length) out[i + 1] = table[word >>> 16];
    }
  }
}

/** 32 bits of a counter, well mixed; `key` enters between the rounds, so that no two tensors share a stream. */
function mix(x: number, key: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad) ^ key;
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  return x ^ (x >>> 13);
}

/** Two words for a tensor: FNV-1a over its name, begun from the seed's two words. */
function keyOf(name: string, seed: number): [number, number] {
  const hash = (start: number): number => {
    let h = start;
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
    return mix(h, start);
  };
  return [
    hash(0x811c9dc5 ^ (seed >>> 0)),
    hash(0x2f0b4c47 ^ Math.imul(seed >>> 0, 0x9e3779b1) ^ Math.floor(seed / 2 ** 32)),
  ];
}

const made = new Map<number, Uint16Array>();

/** 65,536 equally likely values of a normal distribution around 0, as bf16 bits; all ones for no deviation. */
function quantiles(std: number): Uint16Array {
  const known = made.get(std);
  if (known) return known;
  const table = Uint16Array.from({ length: 65536 }, (_, i) =>
    bf16Bits(std ? std * normalQuantile((i + 0.5) / 65536) : 1),
  );
  made.set(std, table);
  return table;
}

/** The inverse of the normal distribution's function, within 5e-4 (Abramowitz and Stegun 26.2.23). */
function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  const t = Math.sqrt(-2 * Math.log(p));
  return (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
}

/**
 * A checkpoint of random tensors that are in no file: each is made as it is read.
 * @param files what else lies in its folder: tokenizer.json and the like
 */
export function randomCheckpoint(
  config: unknown,
  name: string,
  seed: number,
  files: readonly (readonly [file: string, text: string])[],
): Checkpoint {
  const shapes = declaredTensors(config, name),
    texts = [...files, ['config.json', JSON.stringify(config)] as const],
    source = memorySource(name, new Map(texts.map(([file, text]) => [file, new TextEncoder().encode(text)])));
  const made: Source = {
    ...source,
    async read(tensor, offset, into, signal) {
      const shape = shapes.get(tensor);
      if (!shape) return source.read(tensor, offset, into, signal);
      const skipped = offset % 4, // values are made in pairs, of 4 bytes
        values = new Uint16Array((skipped + into.length + 1) >> 1);
      new RandomTensor(tensor, shape, seed).fill((offset - skipped) / 2, values);
      into.set(new Uint8Array(values.buffer).subarray(skipped, skipped + into.length));
    },
  };
  const place = (tensor: string, shape: number[]): TensorPlace => ({
    source: made,
    file: tensor,
    entry: { name: tensor, dtype: 'BF16', shape, offset: 0, bytes: shape.reduce((a, b) => a * b, 2) },
  });
  return new Checkpoint(made, new Map([...shapes].map(([tensor, shape]) => [tensor, place(tensor, shape)])));
}

/** Tensors of each file, at most `shardBytes` together unless one alone is larger; in the model's order. */
export function shardsOf(tensors: Map<string, number[]>, shardBytes: number): { name: string; shape: number[] }[][] {
  const shards: { name: string; shape: number[] }[][] = [];
  let room = -1;
  for (const [name, shape] of tensors) {
    const bytes = shape.reduce((a, b) => a * b, 2);
    if (bytes > room) {
      shards.push([]);
      room = shardBytes;
    }
    shards.at(-1)!.push({ name, shape });
    room -= bytes;
  }
  return shards;
}
