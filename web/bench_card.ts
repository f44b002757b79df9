/** A report as a picture to hand on: the adapter, its limits, the kernels that come nearest to them, and what a reader must know. */
import { figure, limitName } from '../bench/present.ts';
import { type KernelRow, picturesAMinute, type Report, shapeOf } from '../bench/report.ts';
import { colour } from './dom.ts';

const width = 1200,
  height = 630,
  margin = 64,
  /** Limits and kernels stand side by side, so many lines of each. */
  most = 5,
  lineOf = (i: number): number => 230 + 48 * i;

export async function cardOf(report: Report): Promise<Blob> {
  const { adapter, limits, kernels, notes, date, version } = report,
    canvas = new OffscreenCanvas(width, height),
    context = canvas.getContext('2d')!;
  const ink = colour('ink'),
    muted = colour('muted');
  const write = (text: string, x: number, y: number, size: number, fill = ink, widest = width - x - margin): void => {
    context.font = fontOf(size);
    context.fillStyle = fill;
    context.fillText(text, x, y, widest);
  };
  const bar = (part: number, x: number, y: number): void => {
    context.fillStyle = colour('line');
    context.fillRect(x, y, 120, 14);
    context.fillStyle = colour('accent');
    context.fillRect(x, y, 120 * Math.min(1, part), 14);
  };
  context.fillStyle = colour('page');
  context.fillRect(0, 0, width, height);
  write(adapter.name, margin, 110, 44);
  write(`${adapter.kind}, driver ${adapter.driver || 'unknown'}`, margin, 152, 22, muted);
  for (const [i, [key, value]] of Object.entries(limits).slice(0, most).entries()) {
    const { name, unit } = limitName(key);
    write(name, margin, lineOf(i), 24, muted, 240);
    write(`${figure(value)} ${unit}`, margin + 260, lineOf(i), 24, ink, 220);
  }
  for (const [i, row] of nearest(kernels).entries()) {
    write(`${row.op} ${shapeOf(row)}`, 600, lineOf(i), 20, ink, 325);
    bar(row.share, 940, lineOf(i) - 16);
    write(`${figure(100 * row.share)} %`, 1072, lineOf(i), 20);
  }
  const pictures = picturesAMinute(report);
  if (pictures) write(`${pictures.model}: ${figure(pictures.value)} ${pictures.figure}`, margin, 500, 24);
  if (notes.length) {
    context.font = fontOf(20);
    write(shortened(context, `Note: ${notes.join('; ')}`, width - 2 * margin), margin, 538, 20);
  }
  write(`mmar ${version}, ${date.slice(0, 10)}`, margin, height - 56, 20, muted);
  return canvas.convertToBlob({ type: 'image/png' });
}

const fontOf = (size: number): string => `${size > 30 ? 600 : 400} ${size}px system-ui, 'DejaVu Sans', sans-serif`;

/** The kernels that come nearest to the adapter's limits; one whose share is not known comes near none. */
function nearest(kernels: KernelRow[]): (KernelRow & { share: number })[] {
  const known = kernels.filter((row): row is KernelRow & { share: number } => Boolean(row.share));
  return known.sort((a, b) => b.share - a.share).slice(0, most);
}

/** A text that is no wider, in the context's font: what is too long loses its end, not its letters' width. */
function shortened(context: OffscreenCanvasRenderingContext2D, text: string, widest: number): string {
  if (context.measureText(text).width <= widest) return text;
  const letters = [...text].slice(0, 400); // more than fit; a hostile report has a million
  while (letters.length && context.measureText(`${letters.join('')}…`).width > widest) letters.pop();
  return `${letters.join('').trimEnd()}…`;
}
