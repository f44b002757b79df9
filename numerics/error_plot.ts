import type { Prediction } from '../model/sampler.ts';
import { type Panel, plot } from './plot.ts';
import type { ErrorRow } from './theory.ts';

const names: Record<string, string> = { v: 'v', epsilon: 'ε', x: 'x' };
export const nameOf = (prediction: Prediction): string => names[prediction] ?? `ψ=${prediction}`;

/** Eq. 18, 23 and 27 over t: the theory as lines, what was measured as dots. */
export function errorPlot(theory: readonly ErrorRow[], measured: readonly ErrorRow[] = []): string {
  const panel = (title: string, key: 'step_error' | 'unit_error' | 'v_loss'): Panel => ({
    title,
    x: 'time step t',
    lines: [...lines(theory, key), ...lines(measured, key).map((line) => ({ ...line, dots: true }))],
  });
  return plot([
    panel('error of x a DDIM step (Eq. 18)', 'step_error'),
    panel('error a unit of angle (Eq. 23)', 'unit_error'),
    panel('added to the v-loss (Eq. 27)', 'v_loss'),
  ]);
}

function lines(rows: readonly ErrorRow[], key: 'step_error' | 'unit_error' | 'v_loss') {
  const found = new Map<string, [number, number][]>();
  for (const row of rows) {
    const label = `${nameOf(row.prediction)} ${row.type}`;
    found.set(label, [...(found.get(label) ?? []), [row.t, row[key]]]);
  }
  return [...found].map(([label, points]) => ({ label, points }));
}
