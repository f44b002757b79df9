/** Line plots over a logarithmic scale as SVG, readable on light and dark pages. */

export interface Line {
  /** Lines of one label share its place in the legend. */
  label: string;
  points: readonly (readonly [x: number, y: number])[];
  /** Dots in place of a line, for what was measured. */
  dots?: boolean;
}

export interface Panel {
  title: string;
  x: string;
  lines: Line[];
}

const width = 360;
const height = 300;
const inner = { left: 58, right: 12, top: 34, bottom: 44 };
const colours = ['#2f6fde', '#dd6b20', '#2f9e5b', '#9457d4', '#c0392b'];
const dashes = ['', '6 3', '2 3'];

/** How a label looks: its first word decides the colour, its second the dashes. */
function styles(panels: Panel[]): Map<string, { colour: string; dash: string }> {
  const labels = [...new Set(panels.flatMap(({ lines }) => lines.map(({ label }) => label)))];
  const words = (place: number) => [...new Set(labels.map((label) => label.split(' ')[place]))];
  const [first, second] = [words(0), words(1)];
  const place = (label: string, of: string[], at: number) => of.indexOf(label.split(' ')[at]);
  return new Map(
    labels.map((label) => [
      label,
      { colour: colours[place(label, first, 0) % 5], dash: dashes[place(label, second, 1) % 3] },
    ]),
  );
}

/** Panels side by side, `columns` in a row, with one legend under them. */
export function plot(panels: Panel[], columns = panels.length): string {
  const look = styles(panels);
  const rows = Math.ceil(panels.length / columns);
  const perRow = Math.max(1, Math.floor((columns * width) / 120));
  const whole = [columns * width, rows * height + 24 * Math.ceil(look.size / perRow)];
  const drawn = panels.map((panel, i) => {
    const at = [(i % columns) * width, Math.floor(i / columns) * height];
    return `<g transform="translate(${at})">${drawPanel(panel, look)}</g>`;
  });
  const legend = [...look].map(([label, { colour, dash }], i) => {
    const at = [12 + (i % perRow) * 120, rows * height + 12 + 24 * Math.floor(i / perRow)];
    const mark = `<path class="line" d="M0 0h26" stroke="${colour}" stroke-dasharray="${dash}"/>`;
    return `<g transform="translate(${at})">${mark}<text x="32" y="4">${escaped(label)}</text></g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="mmar-plot" viewBox="0 0 ${whole.join(' ')}" role="img">`,
    `<style>.mmar-plot{font:12px system-ui,sans-serif;background:#fff;color:#1f1e1c}.mmar-plot text{fill:currentColor}
.mmar-plot .line{fill:none;stroke-width:1.6}.mmar-plot .grid{stroke:currentColor;stroke-opacity:.15}
@media(prefers-color-scheme:dark){.mmar-plot{background:#1c1e20;color:#ebe9e5}}</style>`,
    ...drawn,
    ...legend,
    '</svg>\n',
  ].join('\n');
}

function drawPanel({ title, x, lines }: Panel, look: Map<string, { colour: string; dash: string }>): string {
  const points = lines.flatMap((line) => line.points.filter(([, y]) => y > 0 && y < Infinity));
  const most = Math.max(...points.map(([at]) => at), 1);
  const exponents = points.length ? points.map(([, y]) => Math.log10(y)) : [0];
  const [low, high] = [Math.floor(Math.min(...exponents)), Math.ceil(Math.max(...exponents))];
  const across = (at: number) => inner.left + (at / most) * (width - inner.left - inner.right);
  const down = (y: number) =>
    inner.top + ((high - Math.log10(y)) / Math.max(1, high - low)) * (height - inner.top - inner.bottom);
  const stride = Math.max(1, Math.ceil((high - low) / 6));
  const grid: string[] = [];
  for (let e = low; e <= high; e += stride) {
    const y = down(10 ** e).toFixed(1);
    grid.push(`<path class="grid" d="M${inner.left} ${y}H${width - inner.right}"/>`);
    grid.push(`<text x="${inner.left - 6}" y="${Number(y) + 4}" text-anchor="end">1e${e}</text>`);
  }
  for (const at of [0, most / 2, most])
    grid.push(`<text x="${across(at)}" y="${height - 24}" text-anchor="middle">${Math.round(at)}</text>`);
  const curves = lines.map(({ label, points: all, dots }) => {
    const placed = all.filter(([, y]) => y > 0 && y < Infinity).map(([at, y]) => [across(at), down(y)] as const);
    const { colour, dash } = look.get(label)!;
    if (dots)
      return placed
        .map(([cx, cy]) => `<circle r="2" cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" fill="${colour}"/>`)
        .join('');
    return `<path class="line" stroke="${colour}" stroke-dasharray="${dash}" d="${path(placed)}"/>`;
  });
  const middle = (inner.left + width - inner.right) / 2;
  return [
    `<text x="${middle}" y="18" text-anchor="middle" font-weight="600">${escaped(title)}</text>`,
    ...grid,
    ...curves,
    `<text x="${middle}" y="${height - 8}" text-anchor="middle">${escaped(x)}</text>`,
  ].join('\n');
}

/** A path through the points; those that are under two pixels from the one before are left out. */
function path(points: readonly (readonly [number, number])[]): string {
  let last = points[0];
  const kept = points.filter((point, i) => {
    const keep = i === 0 || i === points.length - 1 || Math.hypot(point[0] - last[0], point[1] - last[1]) >= 2;
    if (keep) last = point;
    return keep;
  });
  return kept.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
}

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
