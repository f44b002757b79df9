/** A shader of one's own: a kernel's source to change, run in its place, told right or wrong, and timed against ours. */
import type { MMARError } from '../base/error.ts';
import { endlessWords, type Target, type Verdict } from '../bench/own.ts';
import { figure } from '../bench/present.ts';
import { shapeOf } from '../bench/report.ts';
import { source, targets, tryInWorker } from './bench_client.ts';
import { tableElement } from './bench_tables.ts';
import { element, make } from './dom.ts';

const text = element<HTMLTextAreaElement>('editor-text'),
  kernels = element<HTMLSelectElement>('editor-kernel'),
  sizes = element<HTMLInputElement>('editor-shape'),
  status = element('editor-status'),
  result = element('editor-result'),
  run = element<HTMLButtonElement>('editor-run'),
  stop = element<HTMLButtonElement>('editor-stop');
let running: AbortController | undefined;

function target(): Target {
  const shape = sizes.value.trim() ? sizes.value.split(/[x×]/).map(Number) : undefined;
  return {
    as: kernels.value,
    shape: shape as Target['shape'],
    config: element<HTMLSelectElement>('editor-config').value,
  };
}

async function listKernels(): Promise<void> {
  const names = await targets(target().config!);
  kernels.replaceChildren(...names.map((name) => make('option', { value: name, textContent: name })));
  kernels.value = names.find((name) => name.startsWith('matmul')) ?? names[0];
  await loadSource();
}

async function loadSource(): Promise<void> {
  text.value = await source(target());
  result.replaceChildren();
  status.textContent = 'The kernel’s own source, as it is compiled. Change it, then run it.';
}

/** Does something with the worker and says what went wrong with it. */
async function guarded(what: string, work: () => Promise<void>): Promise<void> {
  status.textContent = what;
  status.classList.remove('wrong');
  try {
    await work();
  } catch (error) {
    const { code, message } = error as MMARError;
    status.textContent = code === 'cancelled' ? 'Stopped.' : `That did not work: ${message}.`;
  }
}

async function tryOwn(): Promise<void> {
  running = new AbortController();
  const { signal } = running;
  run.disabled = true;
  stop.disabled = false;
  result.replaceChildren();
  await guarded('Compiling, comparing and timing …', async () => show(await tryInWorker(text.value, target(), signal)));
  running = undefined;
  run.disabled = false;
  stop.disabled = true;
}

function show({ errors, endless, correct, difference, rows }: Verdict): void {
  if (errors.length) {
    status.textContent = 'It does not compile.';
    result.replaceChildren(make('ul', { className: 'errors' }, ...errors.map(errorItem)));
    return;
  }
  if (endless) {
    status.textContent = `Its loop at line ${endless.line} does not end.`;
    const item = errorItem({ line: endless.line, message: endlessWords(endless) });
    result.replaceChildren(make('ul', { className: 'errors' }, item));
    return;
  }
  const off = difference === Infinity ? 'it leaves out numbers or gives none' : `off by ${figure(difference)} at most`,
    [ours, yours] = rows;
  status.textContent = `${correct ? 'Right' : 'Wrong: its result is not the kernel’s'}, ${off}. It takes ${figure(yours.relative! / ours.relative!)} times as long as ours.`;
  status.classList.toggle('wrong', !correct);
  result.replaceChildren(
    tableElement({
      title: `${ours.op} ${shapeOf(ours)}`,
      head: ['', 'ms', 'spread', 'GFLOP/s', 'GB/s'],
      rows: rows.map((row) => [
        row.variant,
        figure(row.ms),
        `${figure(100 * row.spread)} %`,
        figure(row.gflops),
        figure(row.gbps),
      ]),
    }),
  );
}

/** An error whose line is shown in the source at a press. */
function errorItem({ line, message }: Verdict['errors'][number]): HTMLElement {
  const button = make('button', {
    type: 'button',
    className: 'quiet',
    textContent: line ? `Line ${line}` : 'Pipeline',
  });
  button.addEventListener('click', () => {
    const lines = text.value.split('\n'),
      start = lines.slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(start, start + (lines[line - 1] ?? '').length);
    text.scrollTop = (text.scrollHeight / lines.length) * Math.max(0, line - 6);
  });
  return make('li', {}, button, make('code', { textContent: message }));
}

export function startEditor(): void {
  const details = element<HTMLDetailsElement>('editor');
  details.addEventListener('toggle', () => {
    if (details.open && !kernels.options.length) void guarded('Looking for the kernels …', listKernels);
  });
  element('editor-config').addEventListener('change', () => void guarded('Looking for the kernels …', listKernels));
  element('editor-load').addEventListener('click', () => void guarded('Loading the source …', loadSource));
  kernels.addEventListener('change', () => void guarded('Loading the source …', loadSource));
  run.addEventListener('click', () => void tryOwn());
  stop.addEventListener('click', () => running?.abort());
}
