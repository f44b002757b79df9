import path from 'node:path';
import { compareReports } from '../../bench/compare.ts';
import { comparisonTable } from '../../bench/present.ts';
import { readReport } from '../../bench/read_report.ts';
import { usage } from '../errors.ts';
import { readText } from '../files.ts';
import { printTables } from './bench_tables.ts';

/** Compares the first report with each of the others. */
export function compareFiles(files: string[], { json, markdown }: { json?: boolean; markdown?: boolean }): void {
  if (files.length < 2) throw usage('--compare wants two reports or more: mmar bench --compare before.json after.json');
  const [first, ...others] = files.map((file) => ({ file, report: readReport(readText(file), file) }));
  const comparisons = others.map(({ file, report }) => ({
    title: `${path.basename(first.file)} → ${path.basename(file)}`,
    ...compareReports(first.report, report),
  }));
  const names = others.map(({ report }) => report.adapter.name).join(', '),
    all = comparisons.map((comparison) => comparisonTable(comparison, comparison.title));
  if (json) console.log(JSON.stringify(comparisons, undefined, 1));
  else printTables([`${first.report.adapter.name} → ${names}`], all, markdown);
}
