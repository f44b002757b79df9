/** Tables of a report on the page: whatever a report holds is text here. */
import type { Table } from '../bench/present.ts';
import { make } from './dom.ts';

/** A table with its title; columns that say little are left out where there is no room. */
export function tableElement({ title, head, rows, bars, marks, minor = [] }: Table): HTMLElement {
  const place = (column: number): string =>
    [column && 'number', minor.includes(column) && 'minor'].filter(Boolean).join(' ');
  const header = make(
    'tr',
    {},
    ...head.map((text, i) => make('th', { textContent: text, scope: 'col', className: place(i) })),
  );
  const body = rows.map((cells, r) => {
    const row = make(
      'tr',
      { className: marks?.[r] ?? '' },
      ...cells.map((text, i) => make('td', { textContent: text, className: place(i) })),
    );
    if (bars) row.append(make('td', { className: 'bar-cell minor' }, bar(bars[r])));
    return row;
  });
  if (bars) header.append(make('th', { className: 'minor' }));
  return make(
    'section',
    { className: 'report-table' },
    make('h2', { textContent: title }),
    make('table', {}, make('thead', {}, header), make('tbody', {}, ...body)),
  );
}

function bar(part = 0): HTMLElement {
  const made = make('div', { className: 'bar' });
  made.style.width = `${100 * Math.min(1, part)}%`;
  return made;
}
