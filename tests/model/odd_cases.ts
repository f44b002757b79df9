// What the systems' cases of odd sizes have in common: the inputs, and the parts that every system has, or every masked one.
import { rowsToPlanes } from '../../model/image_codec.ts';
import { numbers } from '../gpu.ts';
import type { Cases } from './odd.ts';
import { flat, type ReferenceModel, rowsOf } from './reference.ts';

export const before = [3, 514, 77, 0, 200],
  after = [9, 1, 414],
  uncond = [5, 6];

/** Inputs for L tokens of d channels and pictures of S × S pixels. */
export const oddInputs = (L: number, d: number, S: number) => ({
  tokens: numbers(L * d, 'f32', 7),
  noise: numbers(L * d, 'f32', 11),
  pixels: numbers(3 * S * S, 'f32', 12),
  mask: Uint8Array.from({ length: L }, (_, i) => Number(i % 3 === 1)),
  order: Array.from({ length: L }, (_, i) => (i * 5 + 2) % L),
});

/** Text, describe and decode: every system has them. */
export const commonCases = (reference: ReferenceModel, L: number, d: number, tokens: Float32Array): Cases => ({
  text: {
    inputs: { before: [[5], before] },
    want() {
      const hidden = reference.llm(
        before.map((id) => reference.embedding(id)),
        before.map(() => false),
      );
      return { hidden: flat(hidden), logits: reference.logits(hidden.at(-1)!) };
    },
  },
  describe: {
    inputs: { before: [[5], before], tokens: [[L, d], tokens], after: [[3], after] },
    settings: { max_new_tokens: '4' },
    want: () => ({ ids: reference.describe(before, rowsOf(tokens, d), after, 4) }),
  },
  decode: {
    inputs: { tokens: [[L, d], tokens] },
    want: () => ({ pixels: rowsToPlanes(flat(reference.decode(rowsOf(tokens, d))), 3) }),
  },
});

/** Visual and hidden: the systems that hide tokens have them. */
export const maskedCases = (
  reference: ReferenceModel,
  L: number,
  d: number,
  tokens: Float32Array,
  mask: Uint8Array,
): Cases => ({
  visual: {
    inputs: { tokens: [[L, d], tokens], mask: [[L], mask] },
    want: () => ({ visual: flat(reference.visual(rowsOf(tokens, d), mask)) }),
  },
  hidden: {
    inputs: { before: [[5], before], tokens: [[L, d], tokens], mask: [[L], mask], after: [[3], after] },
    want() {
      const { x, image } = reference.sequence(before, reference.visual(rowsOf(tokens, d), mask), after),
        hidden = reference.llm(x, image);
      return { hidden: flat(hidden), logits: reference.logits(hidden.at(-1)!) };
    },
  },
});
