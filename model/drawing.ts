import type { Device } from '../engine/device.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { DrawingSettings } from './settings.ts';

/** How many rows a drawing has: each branch of the guidance has its own for each picture. */
export interface DrawingShape {
  pictures: number;
  /** 2 with guidance: the conditional rows, then the unconditional ones. */
  branches: 1 | 2;
  /** Tokens that a row of the LLM's cache holds. */
  capacity: number;
}

/**
 * Where one picture's chance comes from: a seed, or the numbers themselves. `noise` is the first x, f32 [L, d], with the
 * temperature in it already; `stepNoise`, f32 [steps, L, d], is read where eta is over 0; `uniform`, [L], by codes.
 */
export type Chance =
  | { seed: number }
  | { noise?: ArrayLike<number>; stepNoise?: ArrayLike<number>; uniform?: ArrayLike<number> };

/** What belongs to one picture alone. */
export interface PictureInput {
  /** A permutation of the image's positions, in the order in which they are drawn; not read by Transfusion. */
  order: Uint32Array<ArrayBuffer>;
  chance: Chance;
}

export interface DrawingInput {
  /** Ids before the image, image start not included. */
  before: readonly number[];
  /** The same with an empty prompt. */
  uncond: readonly number[];
  pictures: readonly PictureInput[];
}

/** What an iteration did; the tokens are on the device, in `Drawing.tokens`. */
export interface DrawingStep {
  iteration: number;
  iterations: number;
  /** Positions (raster order) that this iteration drew, of each picture. */
  drawn: Uint32Array[];
  /** Tokens known now, of all, the same for each picture. */
  known: number;
  total: number;
  /** ω of this iteration. */
  guidance: number;
}

/** Programs and tensors that draw pictures of one shape, one batch after another. */
export interface Drawing {
  readonly shape: DrawingShape;
  /** f32 [pictures × L, d]: the tokens drawn so far. */
  readonly tokens: Tensor;
  /** u32 [pictures × L], of codes. */
  readonly codes?: Tensor;
  /** Whether these settings can be drawn with what it has. */
  serves(settings: DrawingSettings): boolean;
  run(input: DrawingInput, settings: DrawingSettings, signal?: AbortSignal): AsyncGenerator<DrawingStep>;
  /** What it keeps from one batch to the next is computed anew: the weights are others. */
  forget(): void;
  /** Gives all memory back; it cannot be used any more. */
  release(): Promise<void>;
}

export type MakeDrawing = (device: Device, shape: DrawingShape, settings: DrawingSettings) => Drawing;

/** The values of each picture, one after another: what a tensor over all of them holds. */
export function joined(pictures: readonly ArrayLike<number>[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(pictures.reduce((sum, values) => sum + values.length, 0));
  let at = 0;
  for (const values of pictures) {
    all.set(values, at);
    at += values.length;
  }
  return all;
}

/** Values of [steps, L, d] of each picture, side by side at each step: [steps, pictures × L, d]. */
export function besideEachOther(pictures: readonly ArrayLike<number>[], steps: number): Float32Array<ArrayBuffer> {
  const each = Array.from({ length: steps }, (_, step) =>
    pictures.map((values) => {
      const size = values.length / steps;
      return Array.prototype.slice.call(values, step * size, (step + 1) * size) as number[];
    }),
  );
  return joined(each.flat());
}
