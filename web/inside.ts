/** Look inside: which tokens were known at each step, the guidance that held, and where the time went. */
import type { GenerateStep } from '../model/api.ts';
import { colour, dark, duration, element, make } from './dom.ts';

const strip = element('steps-strip');
let grids: { canvas: HTMLCanvasElement; known: Uint8Array; drawn: Uint32Array }[] = [];
let known = new Uint8Array();

export function beginInside(tokens: number): void {
  known = new Uint8Array(tokens);
  grids = [];
  strip.replaceChildren();
  element('times').querySelector('tbody')!.replaceChildren();
  element('inside-empty').hidden = true;
  element('inside-body').hidden = false;
}

export function insideStep(step: GenerateStep): void {
  const canvas = make('canvas', { width: 128, height: 128 }),
    grid = { canvas, known: known.slice(), drawn: step.drawn };
  canvas.setAttribute('role', 'img');
  canvas.setAttribute(
    'aria-label',
    `Step ${step.iteration}: ${step.known} of ${step.total} tokens known, ${step.drawn.length} of them drawn now`,
  );
  for (const token of step.drawn) known[token] = 1;
  grids.push(grid);
  paint(grid);
  strip.append(
    make(
      'li',
      {},
      canvas,
      make('b', { textContent: `Step ${step.iteration}` }),
      make('span', { textContent: `ω ${step.guidance.toFixed(2)}` }),
    ),
  );
}

/** Seconds a part; the whole time tells what was spent between the parts. */
export function showTimes(seconds: Record<string, number>): void {
  const parts = Object.entries(seconds).sort(([, a], [, b]) => b - a),
    most = Math.max(...parts.map(([, s]) => s), 1e-9);
  element('times')
    .querySelector('tbody')!
    .replaceChildren(
      ...parts.map(([name, s]) => {
        const heading = make('th', { textContent: name.charAt(0).toUpperCase() + name.slice(1), scope: 'row' }),
          bar = make('div', { className: 'bar' });
        bar.style.width = `${(100 * s) / most}%`;
        return make(
          'tr',
          {},
          heading,
          make('td', { className: 'bar-cell' }, bar),
          make('td', { textContent: duration(s) }),
        );
      }),
    );
}

function paint({ canvas, known, drawn }: (typeof grids)[number]): void {
  const context = canvas.getContext('2d')!,
    side = Math.round(Math.sqrt(known.length)),
    pitch = canvas.width / side,
    gap = Math.max(1, pitch * 0.12),
    now = new Set(drawn);
  const colours = { known: colour('accent'), drawn: colour('warm'), hidden: colour('line') };
  context.clearRect(0, 0, canvas.width, canvas.height);
  known.forEach((isKnown, token) => {
    context.fillStyle = now.has(token) ? colours.drawn : isKnown ? colours.known : colours.hidden;
    context.beginPath();
    context.roundRect(
      (token % side) * pitch + gap / 2,
      Math.floor(token / side) * pitch + gap / 2,
      pitch - gap,
      pitch - gap,
      gap,
    );
    context.fill();
  });
}

dark.addEventListener('change', () => grids.forEach(paint));
