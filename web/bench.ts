/** The Benchmark tab: run, look, compare, hand on. */
import type { MMARError } from '../base/error.ts';
import { compareReports } from '../bench/compare.ts';
import { packReport, unpackReport } from '../bench/link.ts';
import { comparisonTable, markdown, summary, tables } from '../bench/present.ts';
import { type Report, readReport } from '../bench/report.ts';
import { cardOf } from './bench_card.ts';
import { runInWorker } from './bench_client.ts';
import { tableElement } from './bench_tables.ts';
import { element, make } from './dom.ts';
import { startEditor } from './editor.ts';
import { save } from './gallery.ts';
import { notify } from './notices.ts';

const run = element<HTMLButtonElement>('bench-run'),
  stop = element<HTMLButtonElement>('bench-stop'),
  status = element('bench-status');
const value = (id: string): string => element<HTMLSelectElement>(id).value;
/** Reports to compare with: files that were dropped or chosen, by name. */
const others: { name: string; report: Report }[] = [];
let shown: Report | undefined, running: AbortController | undefined;

/** Why figures are void: a hidden tab gets fewer turns. */
const hiddenNote = 'The tab was hidden while this ran: its figures are void';

async function bench(): Promise<void> {
  running = new AbortController();
  const { signal } = running,
    what = value('bench-what');
  let wasHidden = document.hidden;
  const look = () => (wasHidden ||= document.hidden);
  document.addEventListener('visibilitychange', look);
  const noted = (report: Report): Report => (wasHidden ? { ...report, notes: [...report.notes, hiddenNote] } : report);
  run.disabled = true;
  stop.disabled = false;
  status.textContent = 'Opening a device …';
  try {
    const options = {
      only: what ? [what] : undefined,
      quick: element<HTMLInputElement>('bench-quick').checked,
      config: value('bench-config') || undefined,
    };
    const report = await runInWorker(options, {
      signal,
      onProgress: (step) => (status.textContent = `Measuring ${step} …`),
      onReport: (report) => show(noted(report)),
    });
    show(noted(report));
    status.textContent = wasHidden ? `${hiddenNote}.` : 'Done.';
  } catch (error) {
    const { code, message } = error as MMARError;
    status.textContent = code === 'cancelled' ? 'Stopped.' : 'That did not work.';
    if (code !== 'cancelled') notify(message, { bad: true, key: 'bench' });
  } finally {
    document.removeEventListener('visibilitychange', look);
    running = undefined;
    run.disabled = false;
    stop.disabled = true;
  }
}

function show(report: Report): void {
  shown = report;
  const [name, ...lines] = summary(report);
  element('bench-report').replaceChildren(
    make('h2', { className: 'adapter-name', textContent: name }),
    ...lines.map((line) => make('p', { className: 'muted', textContent: line })),
    ...tables(report).map(tableElement),
  );
  element('bench-share').hidden = false;
  showComparison();
}

/** The report that is shown, or the first of the files, against all others. */
function showComparison(): void {
  const all = shown ? [...others, { name: 'this run', report: shown }] : others,
    [first, ...rest] = all;
  element('bench-comparison').replaceChildren(
    ...rest.map(({ name, report }) =>
      tableElement(comparisonTable(compareReports(first.report, report), `${first.name} → ${name}`)),
    ),
  );
}

async function take(files: Iterable<File>): Promise<void> {
  for (const file of files) {
    try {
      others.push({ name: file.name, report: readReport(await file.text(), file.name) });
    } catch (error) {
      notify((error as Error).message, { bad: true, key: `report ${file.name}` });
    }
  }
  element('bench-files').textContent = others.map(({ name }) => name).join(', ');
  if (!shown && others.length === 1) show(others[0].report);
  else showComparison();
}

async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = `${what} copied.`;
  } catch {
    save(new Blob([text], { type: 'text/plain' }), 'mmar-bench.txt'); // no clipboard here
  }
}

const fileName = (): string =>
  `mmar-bench-${shown!.adapter.name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 60)}`;

/** Shows the report of a link; the address of one begins with `#report=`. */
async function openLink(): Promise<boolean> {
  const [, packed] = /^#report=(.*)$/.exec(location.hash) ?? [];
  if (packed === undefined) return false;
  try {
    show(await unpackReport(packed));
  } catch (error) {
    notify((error as Error).message, { bad: true, key: 'report' });
  }
  return true;
}

/** @param openTab shows this tab */
export function startBench(openTab: () => void): void {
  element('bench-form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (!running) void bench();
  });
  stop.addEventListener('click', () => running?.abort());
  element('bench-markdown').addEventListener(
    'click',
    () => void copy(markdown(summary(shown!), tables(shown!)), 'Markdown'),
  );
  element('bench-json').addEventListener('click', () =>
    save(new Blob([JSON.stringify(shown, undefined, 1)], { type: 'application/json' }), `${fileName()}.json`),
  );
  element('bench-link').addEventListener('click', async () => {
    const address = new URL(location.href);
    address.hash = `report=${await packReport(shown!)}`;
    await copy(address.href, 'Link');
  });
  element('bench-card').addEventListener('click', async () => save(await cardOf(shown!), `${fileName()}.png`));
  const drop = element('bench-drop'),
    input = element<HTMLInputElement>('bench-reports');
  input.addEventListener('change', () => void take(input.files ?? []));
  drop.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    void take(event.dataTransfer?.files ?? []);
  });
  startEditor();
  const recall = async () => {
    if (await openLink()) openTab();
  };
  addEventListener('hashchange', () => void recall());
  void recall();
}
