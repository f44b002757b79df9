/** Something that takes a while: its button to begin and to stop, its bar where it has one, and what is said of it. */
import type { MMARError } from '../base/error.ts';
import { element } from './dom.ts';
import { notify } from './notices.ts';

export class Stoppable {
  readonly status: HTMLElement;
  private readonly bar: HTMLProgressElement | null;
  private readonly begin: HTMLButtonElement;
  private readonly end: HTMLButtonElement;
  private running: AbortController | undefined;

  /** @param name of the elements `NAME-run`, `NAME-stop`, `NAME-status` and, where there is one, `NAME-bar` */
  constructor(name: string) {
    this.status = element(`${name}-status`);
    this.bar = element<HTMLProgressElement>(`${name}-bar`);
    this.begin = element<HTMLButtonElement>(`${name}-run`);
    this.end = element<HTMLButtonElement>(`${name}-stop`);
    this.end.addEventListener('click', () => this.running?.abort());
  }

  /** Says what is being done, and shows how far it is, from 0 to 1. */
  progress(part: number, text: string): void {
    if (this.bar) this.bar.value = part;
    this.status.textContent = text;
  }

  /** Does some work unless some is under way already; a failure is told, a stop said. */
  async run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.running) return;
    this.running = new AbortController();
    this.begin.disabled = true;
    this.end.disabled = false;
    try {
      await work(this.running.signal);
    } catch (error) {
      const { code, message } = error as MMARError;
      this.status.textContent = code === 'cancelled' ? 'Stopped.' : 'That did not work.';
      if (code !== 'cancelled') notify(message, { bad: true, key: 'run' });
    } finally {
      this.running = undefined;
      this.begin.disabled = false;
      this.end.disabled = true;
      if (this.bar) this.bar.value = 0;
    }
  }
}
