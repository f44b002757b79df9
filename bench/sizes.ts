import { MMARError } from '../base/error.ts';

/** Of a matrix product: x [m, k] by w [n, k]. */
export type Sizes = [m: number, k: number, n: number];

const mostSize = 1 << 20;

/** `256x1024x4096` as sizes; a `usage` error says what `name` is where it is anything else. */
export function parseSizes(name: string, text: string): Sizes {
  const sizes = text.split(/[x×]/).map((size) => (/^\d+$/.test(size) ? Number(size) : 0));
  if (sizes.length === 3 && sizes.every((size) => size >= 1 && size <= mostSize)) return sizes as Sizes;
  throw new MMARError(
    'usage',
    `${name} is ${JSON.stringify(text)}; give three whole numbers of 1 to ${mostSize}, such as 256x1024x4096`,
  );
}
