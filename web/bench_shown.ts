/** The report that is shown: its tables, how others compare with it, and the ways to hand it on. */
import { compareReports } from '../bench/compare.ts';
import { packReport, unpackReport } from '../bench/link.ts';
import { comparisonTable, markdown, summary, tables } from '../bench/present.ts';
import { readReport } from '../bench/read_report.ts';
import type { Report } from '../bench/report.ts';
import { cardOf } from './bench_card.ts';
import { tableElement } from './bench_tables.ts';
import { element, make } from './dom.ts';
import { save } from './gallery.ts';
import { notify } from './notices.ts';

interface NamedReport {
  name: string;
  report: Report;
}

let shown: NamedReport | undefined;
/** Reports to compare with: files that were dropped or chosen. */
const files: NamedReport[] = [];

export function show(report: Report, name: string): void {
  shown = { name, report };
  const [adapter, ...lines] = summary(report);
  element('bench-report').replaceChildren(
    make('h2', { className: 'adapter-name', textContent: adapter }),
    ...lines.map((line) => make('p', { className: 'muted', textContent: line })),
    ...tables(report).map(tableElement),
  );
  element('bench-share').hidden = false;
  showComparison();
}

/** The first report against each of the others: files in the order in which they came, then what is shown. */
function showComparison(): void {
  const all = shown && !files.some(({ report }) => report === shown?.report) ? [...files, shown] : files;
  const [first, ...others] = all;
  element('bench-files').textContent = files.map(({ name }) => name).join(', ');
  element('bench-clear').hidden = !files.length;
  element('bench-comparison').replaceChildren(...others.map((other) => comparison(first, other)));
}

function comparison(first: NamedReport, { name, report }: NamedReport): HTMLElement {
  const table = comparisonTable(compareReports(first.report, report), `${first.name} → ${name}`);
  if (table.rows.length) return tableElement(table);
  return make('p', { textContent: `${table.title}: they have measured nothing that is the same.` });
}

/** Takes saved reports; one that comes alone is shown where none is yet. */
async function take(chosen: Iterable<File>): Promise<void> {
  for (const file of chosen) {
    try {
      files.push({ name: file.name, report: readReport(await file.text(), file.name) });
    } catch (error) {
      notify((error as Error).message, { bad: true, key: `report ${file.name}` });
    }
  }
  if (!shown && files.length === 1) show(files[0].report, files[0].name);
  else showComparison();
}

/** Puts text on the clipboard, or into a file where there is none. */
async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    element('bench-status').textContent = `${what} copied.`;
  } catch {
    save(new Blob([text], { type: 'text/plain' }), 'mmar-bench.txt');
  }
}

/** `mmar-bench-ADAPTER`, for a file of the report. */
function fileName({ adapter }: Report): string {
  const plain = adapter.name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return `mmar-bench-${plain.slice(0, 60)}`;
}

async function linkTo(report: Report): Promise<string> {
  const address = new URL(location.href);
  address.hash = `report=${await packReport(report)}`;
  return address.href;
}

const json = (report: Report): Blob => new Blob([JSON.stringify(report, undefined, 1)], { type: 'application/json' });

/** What each button does with the report that is shown. */
const ways: Record<string, (report: Report) => Promise<void> | void> = {
  'bench-markdown': (report) => copy(markdown(summary(report), tables(report)), 'Markdown'),
  'bench-link': async (report) => copy(await linkTo(report), 'Link'),
  'bench-json': (report) => save(json(report), `${fileName(report)}.json`),
  'bench-card': async (report) => save(await cardOf(report), `${fileName(report)}.png`),
};

/** Shows the report that the address carries behind `#report=`; tells whether it does. */
export async function showLinked(): Promise<boolean> {
  const [, packed] = /^#report=(.*)$/.exec(location.hash) ?? [];
  if (packed === undefined) return false;
  try {
    show(await unpackReport(packed), 'the link’s');
  } catch (error) {
    notify((error as Error).message, { bad: true, key: 'report' });
  }
  return true;
}

export function startShown(): void {
  for (const [id, hand] of Object.entries(ways))
    element(id).addEventListener('click', () => void (shown && hand(shown.report)));
  const input = element<HTMLInputElement>('bench-reports');
  input.addEventListener('change', async () => {
    await take([...(input.files ?? [])]);
    input.value = ''; // the same file can be chosen again
  });
  element('bench-clear').addEventListener('click', () => {
    files.length = 0;
    showComparison();
  });
  takeDrops(element('bench-drop'));
}

function takeDrops(place: HTMLElement): void {
  place.addEventListener('dragover', (event) => {
    event.preventDefault();
    place.classList.add('over');
  });
  place.addEventListener('dragleave', () => place.classList.remove('over'));
  place.addEventListener('drop', (event) => {
    event.preventDefault();
    event.stopPropagation(); // elsewhere on the page, what is dropped is a picture to read
    place.classList.remove('over');
    void take([...(event.dataTransfer?.files ?? [])]);
  });
}
