import { markdown, type Table } from '../../bench/present.ts';
import { table } from '../progress.ts';

/** Prints lines and tables, for a terminal with bars, or as Markdown. */
export function printTables(lines: string[], all: Table[], asMarkdown = false): void {
  console.log(asMarkdown ? markdown(lines, all) : lines.join('\n'));
  for (const one of asMarkdown ? [] : all) printTable(one);
}

export function printTable({ title, head, rows, bars }: Table): void {
  const drawn = bars && process.stdout.isTTY ? bars : undefined;
  const cells = [head, ...rows].map((row, i) => (drawn ? [...row, i ? bar(drawn[i - 1]) : ''] : row));
  console.log(`\n${title}\n${table(cells).join('\n')}`);
}

const bar = (part: number | undefined): string =>
  part === undefined ? '' : '█'.repeat(Math.round(20 * Math.min(1, part))).padEnd(20, '·');
