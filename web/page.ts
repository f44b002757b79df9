// The page: draw, read, look inside. Each has a file of its own; this one joins them.

import type { MMARError } from '../base/error.ts';
import { encodePNG } from '../platform/png.ts';
import { startBench } from './bench.ts';
import { connectWorker, type WorkerMMAR } from './client.ts';
import { duration, element } from './dom.ts';
import { addToGallery, type Drawn, fileName, save } from './gallery.ts';
import { beginInside, insideStep, showTimes } from './inside.ts';
import { Loader } from './loading.ts';
import { notify } from './notices.ts';
import { startNumerics } from './numerics.ts';
import { showReadPicture, startReading } from './reading.ts';
import { form, fromAddress, readSettings, type Settings, showSettings, toAddress, useModel } from './settings.ts';
import * as stage from './stage.ts';
import { startTeaching } from './teach.ts';

const engine = connectWorker(),
  loader = new Loader(engine);
const buttons = {
  draw: element<HTMLButtonElement>('draw'),
  stop: element<HTMLButtonElement>('stop'),
  save: element<HTMLButtonElement>('save'),
};
const status = element('draw-status'),
  bar = element<HTMLProgressElement>('draw-bar');
let running: AbortController | undefined, shown: Drawn | undefined;

Object.assign(globalThis, { mmar: { engine } }); // for the console

/** Previews cost time: they may take this part of a drawing's. */
const previewShare = 0.25;

async function draw(): Promise<void> {
  const settings = readSettings(),
    stop = new AbortController();
  running = stop;
  buttons.draw.disabled = true;
  buttons.stop.disabled = false;
  try {
    status.textContent = 'Loading the model …';
    const model = await loader.ensure(stop.signal);
    for (let i = 0; i < settings.count; i++) {
      const of = settings.count > 1 ? `Picture ${i + 1} of ${settings.count}: ` : '';
      await drawOne(model, { ...settings, seed: settings.seed + i, count: 1 }, of, stop.signal);
    }
  } catch (error) {
    const { code, message } = error as MMARError;
    status.textContent = code === 'cancelled' ? 'Stopped.' : 'That did not work.';
    announce(status.textContent);
    if (code === 'file') loader.complain(error);
    else if (code !== 'cancelled') notify(message, { bad: true, key: 'run' });
  } finally {
    running = undefined;
    buttons.draw.disabled = false;
    buttons.stop.disabled = true;
    bar.value = 0;
  }
}

async function drawOne(model: WorkerMMAR, settings: Settings, of: string, signal: AbortSignal): Promise<void> {
  const { image_tokens } = model.config,
    start = performance.now(),
    { count, ...options } = settings;
  let previews = 0,
    drawn: Drawn | undefined;
  stage.begin(image_tokens);
  beginInside(image_tokens);
  status.textContent = `${of}Drawing …`;
  announce(status.textContent);
  element('stage').scrollIntoView({ block: 'nearest', behavior: 'smooth' }); // on a phone it lies below the form
  await model.setProfile(true);
  for await (const step of model.generateStream({ ...options, signal })) {
    const last = step.known === step.total,
      before = performance.now();
    const preview = last || previews <= previewShare * (before - start) ? await step.preview() : undefined;
    if (!last) previews += performance.now() - before;
    stage.showStep(step, preview);
    insideStep(step);
    bar.value = step.iteration / step.iterations;
    status.textContent = `${of}Step ${step.iteration} of ${step.iterations}, ${step.known} of ${step.total} tokens, guidance ${step.guidance.toFixed(2)}`;
    if (!last || !preview) continue;
    const png = new Blob([(await encodePNG(preview)) as Uint8Array<ArrayBuffer>], { type: 'image/png' });
    drawn = {
      picture: preview,
      settings,
      order: stage.drawnOrder(),
      png,
      seconds: (performance.now() - start) / 1000,
    };
  }
  showTimes(await model.setProfile(false)); // before it is said that the picture is drawn
  if (!drawn) return;
  addToGallery(drawn, choose);
  show(drawn);
}

/** Shows a picture of the gallery with its settings; while one is drawn, that one stays. */
function choose(drawn: Drawn): void {
  if (running) return;
  show(drawn);
  showSettings(drawn.settings);
  remember();
}

function show(drawn: Drawn): void {
  shown = drawn;
  const { prompt, seed } = drawn.settings,
    words = prompt ? `A drawing of “${prompt}”, seed ${seed}` : `A drawing, seed ${seed}`;
  stage.showPicture(drawn.picture, drawn.order, words);
  status.textContent = `${words.replace('A drawing of ', '')}, drawn in ${duration(drawn.seconds)}.`;
  announce(status.textContent);
  for (const id of ['save', 'read-this', 'use-drawing']) element<HTMLButtonElement>(id).disabled = false;
}

/** For those who listen: every step would be too much. */
function announce(words: string): void {
  element('announcer').textContent = words;
}

/** Tabs by mouse and by arrow keys, in the order in which they stand. */
const tabs = [...document.querySelectorAll<HTMLButtonElement>('[role=tab]')];
function openTab(open: HTMLElement): void {
  for (const tab of tabs) {
    const selected = tab === open;
    tab.setAttribute('aria-selected', String(selected));
    tab.tabIndex = selected ? 0 : -1;
    element(tab.getAttribute('aria-controls')!).hidden = !selected;
  }
}
tabs.forEach((tab, i) => {
  tab.addEventListener('click', () => openTab(tab));
  tab.addEventListener('keydown', ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!step) return;
    const next = tabs[(i + step + tabs.length) % tabs.length];
    openTab(next);
    next.focus();
  });
});

const readDrawing = () => {
  if (!shown) return;
  showReadPicture(shown.picture, `The drawing of “${shown.settings.prompt}”`);
  openTab(element('tab-read'));
};
element('read-this').addEventListener('click', () => {
  readDrawing();
  element('question').focus();
});
element('use-drawing').addEventListener('click', readDrawing);
element<HTMLInputElement>('show-order').addEventListener('change', ({ target }) =>
  stage.setShowOrder((target as HTMLInputElement).checked),
);
buttons.stop.addEventListener('click', () => running?.abort());
buttons.save.addEventListener('click', () => shown && save(shown.png, fileName(shown)));
element('new-seed').addEventListener('click', () => {
  element<HTMLInputElement>('seed').value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
  remember();
});
form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!running) void draw();
});

/** The address says what the form says, so that it can be handed on. */
const remember = () => history.replaceState(null, '', `#${toAddress(readSettings())}`);
const recall = () => {
  const settings = fromAddress(location.hash);
  if (settings) showSettings(settings);
};
form.addEventListener('input', remember);
addEventListener('hashchange', recall);
recall();

const teaching = startTeaching(loader);
loader.onModel = (model) => {
  useModel(model);
  teaching.useModel();
};
startReading(loader, () => openTab(element('tab-read')));
startNumerics(engine, loader);
startBench(() => openTab(element('tab-bench')));

if (!isSecureContext)
  notify('WebGPU is given to pages over https or from localhost alone; open this page so', {
    bad: true,
    key: 'webgpu',
  });
else if (!navigator.gpu)
  notify(
    'This browser has no WebGPU, which mmar computes with. Use a current Chrome, Edge, Safari or Firefox, or switch WebGPU on in its settings',
    { bad: true, key: 'webgpu' },
  );
