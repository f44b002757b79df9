/** The picture that is being drawn: what is known shows, the rest is covered, what was just drawn stands out. */

import type { Picture } from '../base/platform.ts';
import type { GenerateStep } from '../model/api.ts';
import { colour, dark, element } from './dom.ts';

const canvas = element<HTMLCanvasElement>('stage'),
  context = canvas.getContext('2d')!;

/** In which iteration each token was drawn, 0: not yet. */
let order = new Uint16Array(64),
  side = 8,
  iteration = 0,
  finished = false,
  showOrder = false;
/** The iteration of the picture that is shown: tokens drawn later are not in it. */
let previewed = 0;
let picture: HTMLCanvasElement | undefined;

/** Starts anew, all tokens hidden. */
export function begin(tokens: number): void {
  order = new Uint16Array(tokens);
  side = Math.round(Math.sqrt(tokens));
  iteration = previewed = 0;
  finished = false;
  picture = undefined;
  paint();
}

export function showStep(step: Pick<GenerateStep, 'iteration' | 'drawn'>, preview?: Picture): void {
  iteration = step.iteration;
  for (const token of step.drawn) order[token] = iteration;
  if (preview) {
    picture = toCanvas(preview);
    previewed = iteration;
  }
  paint();
}

/** Shows a whole picture, with the order in which it was drawn. */
export function showPicture(whole: Picture, drawn: Uint16Array, words: string): void {
  order = new Uint16Array(drawn);
  side = Math.round(Math.sqrt(order.length));
  picture = toCanvas(whole);
  finished = true;
  canvas.setAttribute('aria-label', words);
  paint();
}

export const drawnOrder = (): Uint16Array => order.slice();

export function setShowOrder(on: boolean): void {
  showOrder = on;
  paint();
}

export function toCanvas({ width, height, data }: Picture): HTMLCanvasElement {
  const made = document.createElement('canvas');
  made.width = width;
  made.height = height;
  made.getContext('2d')!.putImageData(new ImageData(data as Uint8ClampedArray<ArrayBuffer>, width, height), 0, 0);
  return made;
}

/** Shows a picture on a canvas, in the picture's own size. */
export function showOn(canvas: HTMLCanvasElement, picture: Picture, words: string): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext('2d')!.drawImage(toCanvas(picture), 0, 0);
  canvas.setAttribute('aria-label', words);
}

function paint(): void {
  const size = Math.round(canvas.clientWidth * devicePixelRatio) || 480;
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const cell = size / side,
    hidden = colour('page'),
    line = colour('line');
  context.clearRect(0, 0, size, size);
  if (picture) {
    context.imageSmoothingEnabled = picture.width >= 128; // a small picture is shown as the pixels that it is
    context.imageSmoothingQuality = 'high';
    context.drawImage(picture, 0, 0, size, size);
  }
  if (finished && !showOrder) return;
  context.lineWidth = Math.max(1, devicePixelRatio);
  order.forEach((when, token) => {
    const x = Math.round((token % side) * cell),
      y = Math.round(Math.floor(token / side) * cell),
      w = Math.round(((token % side) + 1) * cell) - x,
      h = Math.round((Math.floor(token / side) + 1) * cell) - y;
    if (!finished && (!when || when > previewed)) {
      context.fillStyle = when ? colour('accent-soft') : hidden;
      context.fillRect(x, y, w, h);
      context.strokeStyle = line;
      context.strokeRect(x, y, w, h);
    }
    if (when && showOrder) number(when, x + w / 2, y + h / 2, cell);
  });
  if (finished) return;
  context.strokeStyle = colour('warm');
  context.lineWidth = 2.5 * devicePixelRatio;
  order.forEach((when, token) => {
    if (!when || when !== iteration) return;
    const inset = context.lineWidth / 2;
    context.strokeRect(
      (token % side) * cell + inset,
      Math.floor(token / side) * cell + inset,
      cell - 2 * inset,
      cell - 2 * inset,
    );
  });
}

/** The iteration's number, readable on any picture. */
function number(value: number, x: number, y: number, cell: number): void {
  context.font = `600 ${Math.min(cell * 0.42, 15 * devicePixelRatio)}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.lineWidth = 3 * devicePixelRatio;
  context.lineJoin = 'round';
  context.strokeStyle = 'rgb(255 255 255 / 85%)';
  context.fillStyle = '#1f1e1c';
  context.strokeText(String(value), x, y);
  context.fillText(String(value), x, y);
  context.lineWidth = Math.max(1, devicePixelRatio);
}

new ResizeObserver(paint).observe(canvas);
dark.addEventListener('change', paint);
paint();
