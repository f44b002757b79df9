/** Teach: a few pictures with words, a lesson to watch, and what came of it as a file. */
import { MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import shapes from '../docs/shapes.json';
import type { TeachStep } from '../model/api.ts';
import { decodePicture } from '../platform/browser.ts';
import { lossCurve } from '../training/loss_curve.ts';
import type { WorkerMMAR } from './client.ts';
import { duration, element, make } from './dom.ts';
import { save } from './gallery.ts';
import type { Loader } from './loading.ts';
import { notify } from './notices.ts';
import { showOn, toCanvas } from './stage.ts';
import { Stoppable } from './stoppable.ts';

/** A picture to be learned, its words, and what the model drew of these behind the lesson. */
interface Example {
  picture: Picture;
  words: HTMLInputElement;
  row: HTMLLIElement;
  drawn: HTMLCanvasElement;
}

const mostExamples = 12;
/** Shapes that stand ready. */
const shapesToTry = 4;
const patchButtons = ['teach-save', 'teach-share', 'teach-forget'];
/** Drawings on the way. */
const samples = 10;

const lesson = new Stoppable('teach'),
  { status } = lesson,
  sample = element<HTMLCanvasElement>('teach-sample'),
  number = (id: string) => Number(element<HTMLInputElement>(id).value),
  button = (id: string) => element<HTMLButtonElement>(id);
let examples: Example[] = [],
  patched = false;

/** Adds a picture with words to the list. */
function add(picture: Picture, words: string): void {
  if (examples.length >= mostExamples) {
    notify(`${mostExamples} pictures at most; take one away first`, { key: 'teach' });
    return;
  }
  const input = make('input', { type: 'text', value: words, maxLength: 500, required: true, autocomplete: 'off' });
  input.setAttribute('aria-label', `What picture ${examples.length + 1} shows`);
  const drawn = make('canvas', { hidden: true, title: 'As it is drawn now' });
  drawn.setAttribute('role', 'img');
  const remove = make('button', { type: 'button', textContent: '×', title: 'Take it away' });
  remove.setAttribute('aria-label', `Take ${words} away`);
  const row = make('li', {}, toCanvas(picture), drawn, input, remove);
  const example = { picture, words: input, row, drawn };
  remove.addEventListener('click', () => {
    examples = examples.filter((other) => other !== example);
    row.remove();
  });
  examples.push(example);
  element('teach-list').append(row);
}

/** `red-triangle.png` shows a red triangle. */
const wordsOf = (file: string): string =>
  file
    .replace(/\.\w+$/, '')
    .replace(/[-_]+/g, ' ')
    .trim();

async function addFiles(files: Iterable<File>, loader: Loader): Promise<void> {
  for (const file of files) {
    if (file.name.endsWith('.safetensors')) {
      await usePatch(loader, file, file.name);
      continue;
    }
    try {
      add(await decodePicture(new Uint8Array(await file.arrayBuffer()), file.name), wordsOf(file.name));
    } catch (error) {
      notify((error as Error).message, { bad: true, key: `teach ${file.name}` });
    }
  }
}

async function addShapes(): Promise<void> {
  for (const [words, shape] of Object.entries(shapes).slice(0, shapesToTry)) {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="white"/>${shape}</svg>`;
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    await image.decode();
    const context = make('canvas', { width: 64, height: 64 }).getContext('2d')!;
    context.drawImage(image, 0, 0);
    const { width, height, data } = context.getImageData(0, 0, 64, 64);
    add({ width, height, data }, words);
  }
}

/** Does something with the model, which is loaded where it is not here yet. */
const withModel = (loader: Loader, work: (model: WorkerMMAR, signal: AbortSignal) => Promise<void>): Promise<void> =>
  lesson.run(async (signal) => {
    status.textContent = 'Loading the model …';
    await work(await loader.ensure(signal), signal);
  });

async function teach(model: WorkerMMAR, signal: AbortSignal): Promise<void> {
  if (!examples.length)
    throw new MMARError('usage', 'there is no picture to learn from; choose one, or try some shapes');
  const steps = number('teach-steps');
  const shown = examples.map(({ picture, words }) => ({ image: picture, prompt: words.value }));
  const sampleEvery = Math.max(1, Math.round(steps / samples));
  const losses: Parameters<typeof lossCurve>[0][number][] = [];
  for (const { drawn } of examples) drawn.hidden = true;
  for (const id of patchButtons) button(id).disabled = true;
  element('teach-loss').hidden = true;
  status.textContent = 'Beginning …';
  try {
    const stream = model.teachStream({
      examples: shown,
      steps,
      rehearse: number('teach-rehearse'),
      sampleEvery,
      signal,
    });
    for await (const step of stream) {
      lesson.progress(step.step / step.total, saying(step));
      if (step.picture) showOn(sample, step.picture, `${shown[0].prompt}, after ${step.step} steps`);
      if (step.stage !== 'learning') continue;
      losses.push({ step: step.step, loss_image: step.lossImage, loss_text: step.lossText });
      showLosses(losses);
    }
    for (const [i, { drawn, words }] of examples.entries()) {
      lesson.progress(i / examples.length, 'Drawing with what it has learned …');
      const { picture } = await model.generate({ prompt: words.value.trim(), seed: 1, signal });
      for (const canvas of i ? [drawn] : [sample, drawn]) showOn(canvas, picture, `${words.value}, as it is drawn now`);
      drawn.hidden = false;
    }
    status.textContent = `Taught in ${steps} steps: it draws and reads with that now, in all tabs, until you forget it.`;
  } finally {
    setPatched(patched || losses.length > 0);
  }
}

function saying({ stage, step, total, loss, secondsLeft }: TeachStep): string {
  if (stage === 'looking') return `Looking at picture ${step} of ${total} …`;
  if (stage === 'rehearsing') return `Rehearsing what it knows: ${step} of ${total} …`;
  const left = step < total ? `, ${duration(secondsLeft!)} left` : '';
  return `Step ${step} of ${total}, loss ${loss!.toFixed(3)}${left}`;
}

function showLosses(losses: Parameters<typeof lossCurve>[0]): void {
  const place = element('teach-loss');
  place.innerHTML = lossCurve(losses);
  place.firstElementChild!.setAttribute('role', 'img');
  place.firstElementChild!.setAttribute('aria-label', 'The loss, step by step');
  place.hidden = false;
}

/** What can be done with what is laid over the checkpoint, where something is. */
function setPatched(on: boolean): void {
  patched = on;
  for (const id of patchButtons) button(id).disabled = !on;
}

async function usePatch(loader: Loader, patch: File | string, name: string): Promise<void> {
  await withModel(loader, async (model, signal) => {
    status.textContent = `Laying ${name} over the model …`;
    await model.usePatch(patch, signal);
    setPatched(true);
    status.textContent = `${name} lies over the model: it draws and reads with it, in all tabs, until you forget it.`;
  });
}

/** Hands the patch on: by the system's own sheet where that takes such a file, else as a download. */
async function handOn(model: WorkerMMAR, share: boolean): Promise<void> {
  const patch = await model.savePatch();
  if (!patch) return;
  const name = 'mmar-patch.safetensors';
  const file = new File([patch], name, { type: 'application/octet-stream' });
  if (!share || !navigator.canShare?.({ files: [file] })) return save(file, name);
  const why = (error: Error) => error.name !== 'AbortError' && save(file, name); // not the user's wish: as a download
  await navigator.share({ files: [file], title: 'What an MMAR model has learned' }).catch(why);
}

/** @returns what the page tells of a model that was loaded anew */
export function startTeaching(loader: Loader): { useModel: () => void } {
  const panel = element('teach-panel'),
    drop = element('teach-drop');
  const chosen = (id: string, take: (files: File[]) => void) =>
    element<HTMLInputElement>(id).addEventListener('change', ({ target }) => {
      const input = target as HTMLInputElement;
      take([...(input.files ?? [])]);
      input.value = ''; // the same file can be chosen again
    });
  chosen('teach-pictures', (files) => void addFiles(files, loader));
  chosen('teach-file', (files) => void addFiles(files, loader));
  button('teach-shapes').addEventListener('click', () => void addShapes());
  // What is dropped or pasted here is not for reading.
  for (const type of ['dragover', 'dragleave', 'drop', 'paste'] as const)
    panel.addEventListener(type, (event) => {
      const { files } = ('dataTransfer' in event ? event.dataTransfer : event.clipboardData) ?? {};
      if (type === 'paste' && !files?.length) return;
      event.preventDefault();
      event.stopPropagation();
      drop.classList.toggle('over', type === 'dragover');
      if (type === 'drop' || type === 'paste') void addFiles([...(files ?? [])], loader);
    });
  element('teach-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void withModel(loader, teach);
  });
  element('teach-load').addEventListener('submit', (event) => {
    event.preventDefault();
    const address = element<HTMLInputElement>('teach-url').value.trim();
    void usePatch(loader, address, address.split('/').pop() || address);
  });
  const now = (work: (model: WorkerMMAR) => Promise<void>) => () => {
    const doing = loader.ensure(new AbortController().signal).then(work);
    doing.catch((error: Error) => notify(error.message, { bad: true, key: 'run' }));
  };
  button('teach-save').addEventListener(
    'click',
    now((model) => handOn(model, false)),
  );
  button('teach-share').addEventListener(
    'click',
    now((model) => handOn(model, true)),
  );
  const forget = now(async (model) => {
    await model.forget();
    setPatched(false);
    status.textContent = 'Forgotten: it is the checkpoint again.';
  });
  button('teach-forget').addEventListener('click', forget);
  return { useModel: () => setPatched(false) };
}
