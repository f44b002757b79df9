/** Pictures as a model sees them, and back. Plain arithmetic alone, so Node and browsers get the same bits. */
import { MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';

/** The kinds of picture that mmar reads. */
export type PictureFormat = 'png' | 'jpeg' | 'webp';

/** More pixels than this are refused before they are decoded: 4 bytes each, so 256 MiB. */
export const MAX_PICTURE_PIXELS = 2 ** 26;

/** The format that a file's first bytes tell, or undefined. */
export function pictureFormat(bytes: Uint8Array): PictureFormat | undefined {
  const starts = (text: string, at = 0) => [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0));
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('RIFF') && starts('WEBP', 8)) return 'webp';
  return undefined;
}

/**
 * Pixels [3, size, size] in [-1, 1] of a picture's centre square: laid over white, resized by PIL's antialiased bicubic
 * filter (`Pillow/src/libImaging/Resample.c`) but never rounded between. A picture of that size already gives exactly
 * `x / 127.5 - 1`.
 *
 * Throws `picture` for a picture whose data do not fit its width and height.
 */
export function pictureToPixels(picture: Picture, size: number): Float32Array {
  checkPicture(picture);
  checkSize(size);
  const { width, height, data } = picture;
  const short = Math.min(width, height);
  const columns = resampleWeights(width, (width - short) >> 1, short, size);
  const rows = resampleWeights(height, (height - short) >> 1, short, size);
  const top = rows[0].first;
  const bottom = rows[size - 1].first + rows[size - 1].weights.length;

  // Rows first, a line at a time: the picture is never held as floats.
  const line = new Float64Array(3 * width);
  const narrow = new Float64Array((bottom - top) * 3 * size);
  for (let y = top; y < bottom; y++) {
    layOverWhite(data, y * width * 4, line);
    for (let x = 0; x < size; x++) {
      const { first, weights } = columns[x];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * line[(first + k) * 3 + c];
        narrow[((y - top) * 3 + c) * size + x] = sum;
      }
    }
  }

  const pixels = new Float32Array(3 * size * size);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < size; y++) {
      const { first, weights } = rows[y];
      for (let x = 0; x < size; x++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[((first - top + k) * 3 + c) * size + x];
        pixels[(c * size + y) * size + x] = Math.min(255, Math.max(0, sum)) / 127.5 - 1;
      }
    }
  }
  return pixels;
}

/** An opaque picture of pixels [3, size, size], clamped to [-1, 1] and rounded half up to 8 bits. */
export function pixelsToPicture(pixels: Float32Array, size: number): Picture {
  checkSize(size);
  const plane = size * size;
  if (pixels.length !== 3 * plane) {
    throw new MMARError('shape', `${pixels.length} pixel values are not [3, ${size}, ${size}], which has ${3 * plane}`);
  }
  const data = new Uint8ClampedArray(4 * plane).fill(255);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) {
      const value = Math.min(1, Math.max(-1, pixels[c * plane + i]));
      data[4 * i + c] = Math.floor((value + 1) * 127.5 + 0.5);
    }
  }
  return { width: size, height: size, data };
}

/** Peak signal-to-noise ratio in dB of two sets of pixels in [-1, 1] (peak 2); infinite where they are equal. */
export function psnr(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length || !a.length) {
    throw new MMARError(
      'shape',
      `PSNR compares pictures of one size: ${a.length} and ${b.length} pixel values differ or are none`,
    );
  }
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return 10 * Math.log10((4 * a.length) / sum);
}

/** Pictures of one size side by side, `columns` in a row, on white. Throws `usage` where sizes or columns don't fit. */
export function contactSheet(pictures: Picture[], columns: number): Picture {
  if (!pictures.length) throw new MMARError('usage', 'a contact sheet needs a picture: give at least one');
  if (!Number.isInteger(columns) || columns < 1) {
    throw new MMARError('usage', `a contact sheet of ${columns} columns: give 1 or more`);
  }
  const { width, height } = pictures[0];
  const across = Math.min(columns, pictures.length);
  const sheetWidth = across * width,
    sheetHeight = Math.ceil(pictures.length / across) * height;
  const data = new Uint8ClampedArray(4 * sheetWidth * sheetHeight).fill(255);
  pictures.forEach((picture, i) => {
    checkPicture(picture);
    if (picture.width !== width || picture.height !== height) {
      throw new MMARError(
        'usage',
        `a contact sheet of ${width}×${height} and ${picture.width}×${picture.height} pictures: give one size`,
      );
    }
    const left = (i % across) * width,
      top = Math.floor(i / across) * height;
    for (let y = 0; y < height; y++) {
      data.set(picture.data.subarray(4 * y * width, 4 * (y + 1) * width), 4 * ((top + y) * sheetWidth + left));
    }
  });
  return { width: sheetWidth, height: sheetHeight, data };
}

/** Which inputs an output sums, from `first` on, and their weights (sum 1). */
interface Taps {
  first: number;
  weights: Float64Array;
}

/** Taps for `count` outputs over inputs `start … start + span`; the filter may reach past them, to 0 or `length`. */
function resampleWeights(length: number, start: number, span: number, count: number): Taps[] {
  const scale = span / count;
  const stretch = Math.max(scale, 1); // shrinking widens the filter, so that it averages what it skips
  return Array.from({ length: count }, (_, i) => {
    const center = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - 2 * stretch + 0.5));
    const end = Math.min(length, Math.floor(center + 2 * stretch + 0.5));
    const weights = Float64Array.from({ length: end - first }, (_, k) => bicubic((first + k + 0.5 - center) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Keys' cubic with a = -1/2: 1 at 0, 0 at the other whole numbers. */
function bicubic(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  if (d < 2) return ((-0.5 * d + 2.5) * d - 4) * d + 2;
  return 0;
}

function layOverWhite(data: Uint8ClampedArray, offset: number, line: Float64Array): void {
  for (let i = 0, at = offset; i < line.length; i += 3, at += 4) {
    const alpha = data[at + 3],
      white = 255 * (255 - alpha);
    line[i] = (data[at] * alpha + white) / 255;
    line[i + 1] = (data[at + 1] * alpha + white) / 255;
    line[i + 2] = (data[at + 2] * alpha + white) / 255;
  }
}

function checkPicture({ width, height, data }: Picture): void {
  const sound = [width, height].every((side) => Number.isInteger(side) && side > 0);
  if (sound && data.length === 4 * width * height) return;
  throw new MMARError(
    'picture',
    `a picture of ${width}×${height} with ${data.length} bytes: it needs 4 for each pixel`,
  );
}

function checkSize(size: number): void {
  if (!Number.isInteger(size) || size < 1) {
    throw new MMARError('usage', `a picture size of ${size}: give a whole number from 1`);
  }
}
