/** A report and a comparison as tables: rows of plain text, for a terminal, for Markdown and for the page. */
import type { Comparison } from './compare.ts';
import type { Limits } from './limits.ts';
import type { Verdict } from './own.ts';
import { type KernelRow, type Report, shapeOf } from './report.ts';

export interface Table {
  title: string;
  /** The first column is to the left, the others to the right. */
  head: string[];
  rows: string[][];
  /** For each row: a part of 1 to draw as a bar, where there is one. */
  bars?: (number | undefined)[];
  /** Columns that may be left out where there is no room. */
  minor?: number[];
  /** For each row: what it is to be marked as. */
  marks?: ('bad' | 'good' | undefined)[];
}

const limitNames: Record<keyof Limits, string> = {
  fma_gflops: 'multiply-adds, f32',
  fma_f16_gflops: 'multiply-adds, f16',
  fma_matrix_gflops: 'multiply-adds, subgroup matrix',
  read_gbps: 'reading memory',
  copy_gbps: 'copying memory',
  workgroup_gbps: 'workgroup memory',
  dispatch_us: 'a dispatch',
  submit_us: 'a submission',
  wait_us: 'submit and wait',
  upload_gbps: 'upload',
  readback_gbps: 'read-back',
};
const unitNames: Record<string, string> = { gflops: 'GFLOP/s', gbps: 'GB/s', us: 'µs' };

/** `fma_gflops` as `multiply-adds, f32` and `GFLOP/s`. */
export function limitName(key: string): { name: string; unit: string } {
  const unit = /[^_]*$/.exec(key)![0];
  return { name: limitNames[key as keyof Limits] ?? key, unit: unitNames[unit] ?? unit };
}

/** A number in three figures. */
export function figure(value: number | undefined): string {
  if (value === undefined) return '';
  if (value === 0) return '0';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const percent = (part: number | undefined): string => (part === undefined ? '' : `${(100 * part).toFixed(0)} %`);

/** The adapter, in lines. */
export function summary({ adapter, date, version, clock, notes }: Report): string[] {
  return [
    adapter.name,
    `${adapter.kind || 'unknown kind'}; driver ${adapter.driver || 'unknown'}; ${adapter.runtime || 'unknown runtime'}`,
    `mmar ${version || '?'}, ${date || 'no date'}${clock ? `; times by ${clock.kind === 'clock' ? 'the clock' : 'timestamps'} on a grid of ${figure(clock.grid_ns / 1000)} µs, samples of ${figure(clock.sample_ms)} ms` : ''}`,
    ...notes.map((note) => `Note: ${note}`),
  ];
}

/** All of a report's tables that have rows. */
export function tables(report: Report): Table[] {
  return [limitsTable(report), kernelsTable(report), modelTable(report), peersTable(report)].filter(
    ({ rows }) => rows.length,
  );
}

function limitsTable({ limits, limit_spread }: Report): Table {
  const entries = Object.entries(limits);
  return {
    title: 'What the adapter can do',
    head: ['limit', 'at most', 'unit', 'spread'],
    rows: entries.map(([key, value]) => {
      const { name, unit } = limitName(key);
      return [name, figure(value), unit, percent(limit_spread[key])];
    }),
  };
}

function kernelsTable({ kernels }: Report): Table {
  return {
    title: 'Kernels at the models’ shapes',
    head: ['kernel', 'shape', 'variant', 'ms', 'spread', 'GFLOP/s', 'GB/s', 'share', 'of', 'agrees'],
    rows: kernels.map((row) => [
      row.op,
      shapeOf(row),
      row.variant,
      row.error ?? figure(row.ms),
      `${percent(row.spread)}${row.moved ? ' *' : ''}`,
      figure(row.gflops),
      figure(row.gbps),
      percent(row.share),
      row.bound ? limitName(row.bound).name : '',
      agreement(row),
    ]),
    minor: [4, 5, 6, 8],
    bars: kernels.map(({ share }) => share),
    marks: kernels.map(({ agrees, error }) => (agrees === false || error ? 'bad' : undefined)),
  };
}

const agreement = ({ agrees }: KernelRow): string => (agrees === undefined ? '' : agrees ? 'yes' : 'NO');

function modelTable({ model }: Report): Table {
  return {
    title: 'Models',
    head: ['model', 'figure', 'value', 'unit', 'spread'],
    rows: model.map(({ model, figure: what, value, unit, spread }) => [
      model,
      what,
      figure(value),
      unit,
      percent(spread),
    ]),
  };
}

function peersTable({ peers }: Report): Table {
  return {
    title: 'Other libraries in the same run',
    head: ['library', 'operation', 'shape', 'ms', 'spread', 'times ours'],
    rows: peers.map(({ peer, op, shape, ms, spread, ratio }) => [
      peer,
      op,
      shape,
      figure(ms),
      percent(spread),
      figure(ratio),
    ]),
  };
}

/** A shader of one's own beside the kernel in whose place it stands. */
export function trialTable({ rows }: Verdict): Table {
  return {
    title: `${rows[0].op} ${shapeOf(rows[0])}`,
    head: ['', 'ms', 'spread', 'GFLOP/s', 'GB/s'],
    rows: rows.map(({ variant, ms, spread, gflops, gbps }) => [
      variant,
      figure(ms),
      `${figure(100 * spread)} %`,
      figure(gflops),
      figure(gbps),
    ]),
  };
}

/** How many times as long as ours it takes. */
export const timesOurs = ({ rows: [ours, yours] }: Verdict): string => figure(yours.relative! / ours.relative!);

/** What changed between two reports; what did not comes last. */
export function comparisonTable({ changes, sameAdapter, throughout }: Comparison, title: string): Table {
  const order = { worse: 0, better: 1, same: 2 },
    sorted = [...changes].sort((a, b) => order[a.verdict] - order[b.verdict] || b.ratio - a.ratio);
  const shared =
    sameAdapter && Math.abs(throughout - 1) > 0.02 ? `; all took ${figure(throughout)} times as long, taken out` : '';
  return {
    title: `${title}${shared}`,
    head: ['what', 'before', 'after', 'unit', 'ratio', 'noise', ''],
    minor: [3, 5],
    rows: sorted.map(({ what, before, after, unit, ratio, noise, verdict }) => [
      what,
      figure(before),
      figure(after),
      limitName(`_${unit}`).unit,
      ratio.toFixed(2),
      `±${percent(noise - 1)}`,
      verdict === 'same' ? '' : verdict,
    ]),
    marks: sorted.map(({ verdict }) => (verdict === 'worse' ? 'bad' : verdict === 'better' ? 'good' : undefined)),
  };
}

/** A text that Markdown shows as it is. */
export const escaped = (text: string): string => text.replace(/[\\`*_{}[\]<>|#!&]/g, (c) => `\\${c}`);

export const markdownRow = (cells: string[]): string => `| ${cells.join(' | ')} |`;

/** Markdown, ready to paste: whatever a name holds stays text. */
export function markdown(lines: string[], all: Table[]): string {
  const parts = all.map(({ title, head, rows }) => {
    const columns = head.map((_, i) => i).filter((i) => rows.some((cells) => cells[i])),
      rule = markdownRow(columns.map((i) => (i ? '---:' : '---')));
    const body = rows.map((cells) => markdownRow(columns.map((i) => escaped(cells[i]))));
    return [`### ${escaped(title)}`, '', markdownRow(columns.map((i) => head[i])), rule, ...body, ''].join('\n');
  });
  return [...lines.map((line, i) => (i ? `${escaped(line)}  ` : `## ${escaped(line)}`)), '', ...parts].join('\n');
}
