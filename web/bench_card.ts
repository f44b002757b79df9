/** A report as a picture to hand on: the adapter, its limits, and the kernels that come nearest to them. */
import { figure, limitName } from '../bench/present.ts';
import { type Report, shapeOf } from '../bench/report.ts';
import { colour } from './dom.ts';

const width = 1200,
  height = 630,
  margin = 64;

export async function cardOf({ adapter, limits, kernels, model, date, version }: Report): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height),
    context = canvas.getContext('2d')!;
  const ink = colour('ink'),
    muted = colour('muted');
  const write = (text: string, x: number, y: number, size: number, fill = ink, most = width - x - margin): void => {
    context.font = `${size > 30 ? 600 : 400} ${size}px system-ui, 'DejaVu Sans', sans-serif`;
    context.fillStyle = fill;
    context.fillText(text, x, y, most);
  };
  context.fillStyle = colour('page');
  context.fillRect(0, 0, width, height);
  write(adapter.name, margin, 110, 44);
  write(`${adapter.kind}, driver ${adapter.driver || 'unknown'}`, margin, 152, 22, muted);
  Object.entries(limits)
    .slice(0, 5)
    .forEach(([key, value], i) => {
      const { name, unit } = limitName(key);
      write(name, margin, 230 + 48 * i, 24, muted, 240);
      write(`${figure(value)} ${unit}`, margin + 260, 230 + 48 * i, 24, ink, 220);
    });
  const best = [...kernels].sort((a, b) => (b.share ?? 0) - (a.share ?? 0)).slice(0, 5);
  best.forEach((row, i) => {
    const y = 230 + 48 * i;
    write(`${row.op} ${shapeOf(row)}`, 600, y, 20, ink, 330);
    context.fillStyle = colour('line');
    context.fillRect(950, y - 16, 130, 14);
    context.fillStyle = colour('accent');
    context.fillRect(950, y - 16, 130 * Math.min(1, row.share ?? 0), 14);
    write(`${figure(100 * (row.share ?? 0))} %`, 1092, y, 20, ink);
  });
  const pictures = model.find(({ figure: what }) => what.startsWith('pictures a minute'));
  if (pictures) write(`${pictures.model}: ${figure(pictures.value)} ${pictures.figure}`, margin, 510, 24);
  write(`mmar ${version}, ${date.slice(0, 10)}`, margin, height - 56, 20, muted);
  return canvas.convertToBlob({ type: 'image/png' });
}
