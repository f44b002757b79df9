import { picture_to_pixels, psnr } from '../loaders/image.ts';
import type { Picture } from '../platform/platform.ts';

/** PSNR in dB of a model's pixels, [3, size, size], clamped, against a picture at that size. */
export function psnr_to(picture: Picture, pixels: Float32Array, size: number): number {
  return psnr(picture_to_pixels(picture, size), pixels.map((value) => Math.min(1, Math.max(-1, value))));
}
