/** A line of the picture: its name, colour and points. */
interface Curve {
  name: string;
  colour: string;
  points: { step: number; value: number }[];
}

const width = 720,
  height = 360,
  margin = { left: 64, right: 16, top: 24, bottom: 40 };

/** The losses of a run so far as an SVG: steps from left to right, losses on a logarithmic scale. */
export function lossCurve(
  progress: readonly { step: number; loss_image?: number; loss_text?: number }[],
  heldOut: typeof progress = [],
): string {
  const curve = (name: string, colour: string, key: 'loss_image' | 'loss_text', of: typeof progress): Curve => ({
    name,
    colour,
    points: of.flatMap(({ step, [key]: value }) => (value !== undefined && value > 0 ? [{ step, value }] : [])),
  });
  const curves = [
    curve('image', '#2563eb', 'loss_image', progress),
    curve('text', '#dc2626', 'loss_text', progress),
    curve('image, held out', '#93c5fd', 'loss_image', heldOut),
    curve('text, held out', '#fca5a5', 'loss_text', heldOut),
  ].filter(({ points }) => points.length);
  const all = curves.flatMap(({ points }) => points),
    values = all.map(({ value }) => Math.log10(value)),
    last = Math.max(1, ...all.map(({ step }) => step)),
    low = Math.floor(Math.min(0, ...values)),
    high = Math.ceil(Math.max(low + 1, ...values));
  const x = (step: number) => margin.left + ((width - margin.left - margin.right) * step) / last,
    y = (logarithm: number) =>
      height - margin.bottom - ((height - margin.top - margin.bottom) * (logarithm - low)) / (high - low);
  const grid = Array.from({ length: high - low + 1 }, (_, i) => low + i).map(
    (power) =>
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y(power)}" y2="${y(power)}" stroke="#ddd"/>` +
      `<text x="${margin.left - 8}" y="${y(power) + 4}" text-anchor="end">${10 ** power}</text>`,
  );
  const lines = curves.map(({ colour, points }) => {
    const path = points.map(({ step, value }) => `${x(step).toFixed(1)},${y(Math.log10(value)).toFixed(1)}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
  });
  const legend = curves.map(
    ({ name, colour }, i) => `<text x="${margin.left + 140 * i}" y="16" fill="${colour}">${name}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...grid,
    ...lines,
    ...legend,
    `<text x="${width - margin.right}" y="${height - 12}" text-anchor="end">step ${last}</text>`,
    '</svg>\n',
  ].join('\n');
}
