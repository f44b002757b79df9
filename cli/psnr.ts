import type { Picture } from '../base/platform.ts';
import { pictureToPixels, psnr } from '../loaders/image.ts';

/** PSNR in dB of a model's pixels, [3, size, size], clamped, against a picture at that size. */
export function psnrTo(picture: Picture, pixels: Float32Array, size: number): number {
  return psnr(
    pictureToPixels(picture, size),
    pixels.map((value) => Math.min(1, Math.max(-1, value))),
  );
}
