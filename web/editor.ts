/** A shader of one's own: a kernel's source to change, run in its place, told right or wrong, and timed against ours. */
import type { MMARError } from '../base/error.ts';
import type { SourceFault } from '../bench/faults.ts';
import type { Verdict } from '../bench/own.ts';
import { figure, timesOurs, trialTable } from '../bench/present.ts';
import { parseSizes } from '../bench/sizes.ts';
import type { SourceForm, Target } from '../bench/target.ts';
import { source, targets, tryInWorker } from './bench_client.ts';
import { tableElement } from './bench_tables.ts';
import { element, make } from './dom.ts';
import { Stoppable } from './stoppable.ts';

const text = element<HTMLTextAreaElement>('editor-text'),
  config = element<HTMLSelectElement>('editor-config'),
  kernels = element<HTMLSelectElement>('editor-kernel'),
  forms = element<HTMLSelectElement>('editor-form'),
  result = element('editor-result');
const trial = new Stoppable('editor'),
  { status } = trial;

/** What was typed for each kernel, shape and form: it is there again when one comes back to it. */
const drafts = new Map<string, string>();
/** Of the source in the field: its place in `drafts`. */
let draft = '';

const sayings: Record<SourceForm, string> = {
  compiled: 'The kernel’s own source, as it is compiled. Change it, then run it.',
  written:
    'The kernel’s own source, as it is written: its constants are filled in when it runs. Change it, then run it.',
};

function target(): Target {
  const shape = element<HTMLInputElement>('editor-shape').value.trim();
  return {
    as: kernels.value,
    shape: shape ? parseSizes('the matrix shape', shape) : undefined,
    config: config.value,
  };
}

async function listKernels(): Promise<void> {
  const names = await targets(config.value);
  kernels.replaceChildren(...names.map((name) => make('option', { value: name, textContent: name })));
  kernels.value = names.find((name) => name.startsWith('matmul')) ?? names[0];
  await showSource();
}

/** Puts the chosen kernel's source into the field, or what was made of it before. */
async function showSource(): Promise<void> {
  const of = target(),
    form = forms.value as SourceForm,
    place = JSON.stringify([of, form]);
  text.value = drafts.get(place) ?? (await source(of, form));
  draft = place;
  result.replaceChildren();
  status.textContent = drafts.has(place) ? 'Your own source, as you left it.' : sayings[form];
}

/** Puts the kernel's own source in place of what was typed. */
function reload(): Promise<void> {
  drafts.delete(JSON.stringify([target(), forms.value]));
  return showSource();
}

/** Asks the worker for something to show, and says what went wrong with it. */
async function ask(doing: string, work: () => Promise<void>): Promise<void> {
  status.textContent = doing;
  status.classList.remove('wrong');
  try {
    await work();
  } catch (error) {
    status.textContent = `That did not work: ${(error as MMARError).message}.`;
  }
}

async function tryOwn(signal: AbortSignal): Promise<void> {
  status.textContent = 'Compiling, comparing and timing …';
  status.classList.remove('wrong');
  result.replaceChildren();
  show(await tryInWorker(text.value, target(), signal));
}

function show(verdict: Verdict): void {
  const { errors, endless, correct } = verdict;
  const faults = endless ? [endless] : errors;
  status.textContent = saying(verdict);
  status.classList.toggle('wrong', !correct);
  if (faults.length) result.replaceChildren(make('ul', { className: 'errors' }, ...faults.map(faultItem)));
  else result.replaceChildren(tableElement(trialTable(verdict)));
}

function saying(verdict: Verdict): string {
  const { errors, endless, correct, difference } = verdict;
  if (errors.length) return 'It does not compile.';
  if (endless) return endless.line ? `Its loop at line ${endless.line} does not end.` : 'A loop does not end.';
  const off = difference === Infinity ? 'it leaves out numbers or gives none' : `off by ${figure(difference)} at most`;
  return `${correct ? 'Right' : 'Wrong: its result is not the kernel’s'}, ${off}. It takes ${timesOurs(verdict)} times as long as ours.`;
}

/** A fault; one with a line has a button that shows it in the source. */
function faultItem({ line, message }: SourceFault): HTMLElement {
  const said = make('code', { textContent: message });
  if (!line) return make('li', {}, said);
  const button = make('button', { type: 'button', className: 'quiet', textContent: `Line ${line}` });
  button.addEventListener('click', () => showLine(line));
  return make('li', {}, button, said);
}

/** Selects a line of the source and scrolls to it. */
function showLine(line: number): void {
  const lines = text.value.split('\n');
  const start = lines.slice(0, line - 1).reduce((sum, { length }) => sum + length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[line - 1] ?? '').length);
  text.scrollTop = (text.scrollHeight / lines.length) * Math.max(0, line - 6);
}

export function startEditor(): void {
  const details = element<HTMLDetailsElement>('editor');
  const list = () => void ask('Looking for the kernels …', listKernels);
  const choose = () => void ask('Loading the source …', showSource);
  details.addEventListener('toggle', () => {
    if (details.open && !kernels.options.length) list();
  });
  config.addEventListener('change', list);
  for (const choice of [kernels, forms, element('editor-shape')]) choice.addEventListener('change', choose);
  element('editor-load').addEventListener('click', () => void ask('Loading the source …', reload));
  text.addEventListener('input', () => drafts.set(draft, text.value));
  element('editor-run').addEventListener('click', () => void trial.run(tryOwn));
}
