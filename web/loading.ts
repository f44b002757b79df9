/** The model that the page works with: which one, how far its load is, and what this browser keeps. */

import { MMARError } from '../base/error.ts';
import type { Activations } from '../model/weights.ts';
import type { LoadState, WorkerEngine, WorkerMMAR } from './client.ts';
import { duration, element, make, megabytes } from './dom.ts';
import { dismiss, notify } from './notices.ts';
import type { AdapterDescription } from './protocol.ts';

const carried = { name: 'MMAR-emoji', from: 'checkpoints/emoji' };

interface Choice {
  name: string;
  from: string | Map<string, Blob>;
}

export class Loader {
  /** Called with every model that is loaded. */
  onModel: (model: WorkerMMAR) => void = () => {};
  private model: WorkerMMAR | undefined;
  private loading: Promise<WorkerMMAR> | undefined;
  private stop = new AbortController();
  private adapter: AdapterDescription | undefined;
  private opening?: Promise<AdapterDescription>;
  private picked = new Map<string, Blob>();
  private lostAt = -Infinity;
  private listed = '';

  constructor(private readonly engine: WorkerEngine) {
    engine.onNotice = (text) => notify(text);
    engine.onLost = (text) => void this.recover(text);
    const form = element<HTMLFormElement>('model-form');
    form.addEventListener('change', () => this.showChoice());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.load().catch((error: unknown) => this.complain(error));
    });
    element('cancel-load').addEventListener('click', () => this.stop.abort());
    element('skip-tuning').addEventListener('click', () => void this.engine.skipTuning());
    for (const id of ['model-folder', 'model-files'])
      element<HTMLInputElement>(id).addEventListener('change', ({ target }) =>
        this.pick((target as HTMLInputElement).files),
      );
    element<HTMLDetailsElement>('model').addEventListener('toggle', () => void this.showKept());
    this.showChoice();
  }

  /** The model, loaded if it is not yet. Aborting the signal stops the load. */
  async ensure(signal: AbortSignal): Promise<WorkerMMAR> {
    if (this.model) return this.model;
    const abort = () => this.stop.abort(),
      loading = this.loading ?? this.load();
    signal.addEventListener('abort', abort);
    try {
      return await loading;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Loads what is chosen, in place of what was loaded. */
  load(): Promise<WorkerMMAR> {
    this.stop.abort();
    this.stop = new AbortController();
    const before = this.loading,
      { signal } = this.stop;
    const loading = (async () => {
      await before?.catch(() => {}); // one at a time: it was just stopped
      return this.loadChosen(this.choice(), signal);
    })();
    this.loading = loading;
    const done = () => {
      if (this.loading === loading) this.loading = undefined;
    };
    loading.then(done, done);
    return loading;
  }

  private async loadChosen(choice: Choice, signal: AbortSignal): Promise<WorkerMMAR> {
    const precision = element<HTMLSelectElement>('precision').value as Activations,
      start = performance.now();
    for (const key of ['load', 'lost']) dismiss(key);
    this.state('loading …', choice.name);
    this.busy(true);
    try {
      await this.openDevice();
      await this.model?.close();
      this.model = undefined;
      const model = await this.engine.loadMMAR(choice.from, {
        precision,
        signal,
        onProgress: (state) => this.progress(state),
      });
      this.model = model;
      const { weights } = await model.memory();
      this.state(
        `ready: ${megabytes(weights)} on the device, ${precision}, loaded in ${duration((performance.now() - start) / 1000)}`,
      );
      this.onModel(model);
      return model;
    } catch (error) {
      this.state(
        (error as MMARError).code === 'cancelled' ? 'loading was cancelled; what has come is kept' : 'not loaded',
      );
      throw error;
    } finally {
      this.busy(false);
      void this.showKept();
    }
  }

  /** Opens the device unless it is open. */
  async openDevice(): Promise<void> {
    this.opening ??= this.engine.openDevice();
    try {
      if (!this.adapter) this.showAdapter(await this.opening);
    } catch (error) {
      this.opening = undefined;
      throw error;
    }
  }

  /** Says what went wrong, with a button that tries again where that can help. */
  complain(error: unknown): void {
    const { code, message } = error as MMARError;
    if (code === 'cancelled') return;
    const again =
      code === 'file' || code === 'device'
        ? { label: 'Try again', run: () => void this.load().catch((e: unknown) => this.complain(e)) }
        : undefined;
    notify(message, { bad: true, key: 'load', action: again });
  }

  /** Opens the device and loads the model again; a device that is lost again at once is left to the user. */
  private async recover(text: string): Promise<void> {
    const again = performance.now() - this.lostAt < 60_000,
      load = () => this.load().then(() => notify('The model is loaded again', { key: 'lost' }));
    this.lostAt = performance.now();
    this.model = this.adapter = this.opening = undefined;
    this.state('the graphics device was lost');
    if (again)
      return notify(`${text}, again`, {
        bad: true,
        key: 'lost',
        action: { label: 'Load the model again', run: () => void load().catch((e: unknown) => this.complain(e)) },
      });
    notify(`${text}. Loading the model again …`, { key: 'lost' });
    await load().catch((error: unknown) => this.complain(error));
  }

  private choice(): Choice {
    const from = new FormData(element<HTMLFormElement>('model-form')).get('from');
    if (from === 'carried') return carried;
    if (from === 'url') {
      const url = element<HTMLInputElement>('model-url').value.trim().replace(/\/+$/, '');
      if (!/^https?:\/\//.test(url))
        throw new MMARError('usage', 'the address of the model is missing: give one that begins with https://');
      return { name: new URL(url).pathname.split('/').pop() || url, from: url };
    }
    if (!this.picked.size)
      throw new MMARError(
        'usage',
        'no model is chosen: choose the folder that holds its config.json and model.safetensors',
      );
    return { name: 'a model of this computer', from: this.picked };
  }

  /** Files of a folder go by their path in it. */
  private pick(files: FileList | null): void {
    this.picked = new Map(
      [...(files ?? [])].map((file) => [file.webkitRelativePath.split('/').slice(1).join('/') || file.name, file]),
    );
    const bytes = [...this.picked.values()].reduce((sum, file) => sum + file.size, 0);
    element('picked').textContent = this.picked.size
      ? `${this.picked.size} files, ${megabytes(bytes)}`
      : 'nothing chosen';
  }

  private showChoice(): void {
    const from = new FormData(element<HTMLFormElement>('model-form')).get('from');
    element('from-url').hidden = from !== 'url';
    element('from-local').hidden = from !== 'local';
  }

  private state(text: string, name?: string): void {
    element('model-state').textContent = text;
    if (name) element('model-name').textContent = name;
  }

  private busy(on: boolean): void {
    element('loading').hidden = element('cancel-load').hidden = !on;
    element('skip-tuning').hidden = true;
    element<HTMLProgressElement>('load-bar').value = 0;
    element('load-text').textContent = 'Opening the model …';
  }

  private progress({ loaded, total, received, kept, size, rate, secondsLeft, tuning }: LoadState): void {
    const bar = element<HTMLProgressElement>('load-bar'),
      text = element('load-text');
    element('skip-tuning').hidden = !tuning;
    if (tuning) {
      bar.value = tuning.total ? tuning.done / tuning.total : 0;
      text.textContent = 'Measuring what is fastest on this graphics card, once …';
      return;
    }
    const here = Math.min(received + kept, size || Infinity),
      fetching = received > 0 && here < size;
    bar.value = fetching ? here / size : total ? loaded / total : 0;
    const pace = rate > 0 ? `, ${megabytes(rate)} a second` : '',
      left = Number.isFinite(secondsLeft) ? `, ${duration(secondsLeft)} left` : '';
    if (fetching)
      text.textContent = `Downloading: ${megabytes(here)} of ${megabytes(size)}${pace}${left}${kept ? ` (${megabytes(kept)} were kept here)` : ''}`;
    else
      text.textContent = total
        ? `Onto the device: ${megabytes(loaded)} of ${megabytes(total)}${received ? '' : ' (kept in this browser)'}`
        : 'Reading the file …';
  }

  private showAdapter(adapter: AdapterDescription): void {
    this.adapter = adapter;
    const words =
      [adapter.vendor, adapter.architecture, adapter.device, adapter.driver].filter(Boolean).join(' ') ||
      'an adapter without a name';
    element('adapter').textContent = `Runs on ${words}, ${adapter.kind}.`;
    if (adapter.kind === 'software')
      notify('This browser computes without a graphics card, so it is slow, but the pictures are the same', {
        key: 'software',
      });
  }

  private async showKept(): Promise<void> {
    const models = await this.engine.kept().catch(() => []),
      now = JSON.stringify(models);
    if (now === this.listed) return; // a button that somebody is on stays
    this.listed = now;
    element('kept').hidden = !models.length;
    element('kept-list').replaceChildren(
      ...models.map(({ url, bytes, total }) => {
        const remove = make('button', { type: 'button', textContent: 'Delete' });
        remove.setAttribute('aria-label', `Delete ${url}`);
        remove.addEventListener('click', () => {
          remove.disabled = true;
          this.engine
            .deleteKept(url)
            .catch((error: Error) => {
              notify(error.message, { bad: true });
              this.listed = '';
            })
            .finally(() => void this.showKept());
        });
        const part = bytes < total ? ` of ${megabytes(total)}` : '';
        return make('li', {}, make('span', { textContent: `${url} · ${megabytes(bytes)}${part}` }), remove);
      }),
    );
  }
}
