// The host's side of lib/random.wgsl: the same numbers from the same counter and key.

/** The upper word of a product of two words, in halves so that every step is exact in a double. */
function mulHi(a: number, b: number): number {
  const aHigh = a >>> 16,
    aLow = a & 0xffff,
    bHigh = b >>> 16,
    bLow = b & 0xffff;
  const middle = aHigh * bLow + Math.floor((aLow * bLow) / 65536);
  return aHigh * bHigh + Math.floor(middle / 65536) + Math.floor((aLow * bHigh + (middle % 65536)) / 65536);
}

/** Philox4x32-10 (Salmon et al. 2011): four 32-bit words from a counter of four and a key of two. */
export function philox(counter: readonly number[], seed: readonly number[]): number[] {
  let [x, y, z, w] = counter,
    [k0, k1] = seed;
  for (let round = 0; round < 10; round++) {
    [x, y, z, w] = [
      (mulHi(0xcd9e8d57, z) ^ y ^ k0) >>> 0,
      Math.imul(0xcd9e8d57, z) >>> 0,
      (mulHi(0xd2511f53, x) ^ w ^ k1) >>> 0,
      Math.imul(0xd2511f53, x) >>> 0,
    ];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [x, y, z, w];
}

/** Four standard normal numbers: those of lib/normal.wgsl, in f64. */
export function normals(counter: readonly number[], seed: readonly number[]): number[] {
  const [x, y, z, w] = philox(counter, seed);
  return [...normalPair(x, y), ...normalPair(z, w)];
}

function normalPair(a: number, b: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(((a >>> 8) + 1) * 2 ** -24));
  const angle = 2 * Math.PI * (b >>> 8) * 2 ** -24;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** A seed (a whole number from 0 to 2^53 - 1) as the key's two words. */
export const seedWords = (seed: number): [number, number] => [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];

/** A random permutation of 0 … n-1 (Fisher-Yates), from the seed's own stream. */
export function permutation(n: number, seed: number): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const [word] = philox([i, orderStream, 0, 0], seedWords(seed));
    const j = mulHi(word, i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** n numbers from 0 up to 1, with 24 bits each, of one stream of a seed. */
export const uniformNumbers = (n: number, seed: number, stream: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: n }, (_, i) => (philox([i, stream, 0, 0], seedWords(seed))[0] >>> 8) / 2 ** 24);

/** Streams of one seed, so that no two uses share numbers. */
export const noiseStream = 0,
  stepNoiseStream = 1,
  orderStream = 2,
  textStream = 3,
  roundingStream = 4,
  codeStream = 5;
