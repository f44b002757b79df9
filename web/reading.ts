/** Reading: a picture, a question, an answer that comes word by word. */

import type { MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import { decodePicture } from '../platform/browser.ts';
import { duration, element, make } from './dom.ts';
import type { Loader } from './loading.ts';
import { notify } from './notices.ts';
import { toCanvas } from './stage.ts';

let picture: Picture | undefined;
let running: AbortController | undefined;

/** Shows the picture that questions are about. */
export function showReadPicture(chosen: Picture, words: string): void {
  picture = chosen;
  const canvas = element<HTMLCanvasElement>('read-picture'),
    from = toCanvas(chosen),
    context = canvas.getContext('2d')!;
  canvas.width = from.width;
  canvas.height = from.height;
  context.drawImage(from, 0, 0);
  canvas.style.imageRendering = from.width < 128 ? 'pixelated' : 'auto';
  canvas.hidden = false;
  canvas.setAttribute('aria-label', words);
  element('drop-hint').hidden = true;
  element('drop').classList.add('filled');
  element('read-status').textContent = '';
}

async function openFile(file: Blob & { name?: string }): Promise<void> {
  const name = file.name || 'the pasted picture';
  try {
    showReadPicture(await decodePicture(new Uint8Array(await file.arrayBuffer()), name), name);
    element('read-status').textContent = `${name}, ${picture!.width} × ${picture!.height} pixels.`;
  } catch (error) {
    notify((error as Error).message, { bad: true, key: 'picture' });
  }
}

export function startReading(loader: Loader, show: () => void): void {
  const drop = element('drop'),
    input = element<HTMLInputElement>('picture'),
    question = element<HTMLInputElement>('question');
  const open = (files: FileList | undefined) => {
    const file = [...(files ?? [])].find((f) => f.type.startsWith('image/')) ?? files?.[0];
    if (!file) return;
    show();
    void openFile(file);
  };
  input.addEventListener('change', () => {
    open(input.files ?? undefined);
    input.value = ''; // the same file can be chosen again
  });
  document.addEventListener('paste', ({ clipboardData }) => clipboardData?.files.length && open(clipboardData.files));
  // A picture that misses the frame would otherwise replace the page.
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  document.addEventListener('dragleave', () => drop.classList.remove('over'));
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    open(event.dataTransfer?.files);
  });
  for (const chip of document.querySelectorAll<HTMLButtonElement>('.chip'))
    chip.addEventListener('click', () => (question.value = chip.textContent!));
  element('read-stop').addEventListener('click', () => running?.abort());
  element('read-form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (!running) void ask(loader, question.value.trim());
  });
}

async function ask(loader: Loader, question: string): Promise<void> {
  const status = element('read-status');
  if (!picture) {
    status.textContent = 'Choose a picture first.';
    return;
  }
  const stop = new AbortController(),
    buttons = { ask: element<HTMLButtonElement>('ask'), stop: element<HTMLButtonElement>('read-stop') };
  const said = make('p', { className: 'said' }),
    answer = make(
      'article',
      { className: 'answer running' },
      make('p', { className: 'asked', textContent: question }),
      said,
    );
  running = stop;
  buttons.ask.disabled = true;
  buttons.stop.disabled = false;
  try {
    status.textContent = 'Loading the model …';
    const model = await loader.ensure(stop.signal),
      start = performance.now();
    status.textContent = 'Looking …';
    element('answers').prepend(answer);
    let pieces = 0;
    for await (const { text, id } of model.describeStream({ image: picture, question, signal: stop.signal })) {
      said.append(text);
      if (id !== undefined) pieces++;
    }
    status.textContent = `${pieces} tokens in ${duration((performance.now() - start) / 1000)}.`;
  } catch (error) {
    const { code, message } = error as MMARError;
    status.textContent = code === 'cancelled' ? 'Stopped.' : 'That did not work.';
    if (!said.textContent) answer.remove();
    if (code === 'file') loader.complain(error);
    else if (code !== 'cancelled') notify(message, { bad: true, key: 'run' });
  } finally {
    running = undefined;
    answer.classList.remove('running');
    buttons.ask.disabled = false;
    buttons.stop.disabled = true;
  }
}
