import type { LoadProgress } from '../model/load_weights.ts';
import type { Traffic } from '../platform/block_source.ts';
import type { LoadState } from './protocol.ts';

const windowMs = 4000; // over which the rate is taken
const reportMs = 100;

/** Turns what network and device report of a load into progress with a rate and the time left, ten times a second. */
export class LoadMeter {
  private state: LoadState = { loaded: 0, total: 0, received: 0, kept: 0, size: 0, rate: 0, secondsLeft: Infinity };
  private past: { at: number; bytes: number }[] = [];
  private reported = -Infinity;

  constructor(
    private readonly report: (state: LoadState) => void,
    private readonly now = () => performance.now(),
  ) {}

  set(more: Partial<LoadProgress & Traffic & Pick<LoadState, 'size' | 'tuning'>>): void {
    Object.assign(this.state, more);
    const { received, kept, size, loaded, total } = this.state,
      at = this.now();
    // While something is fetched, the network is what takes the time; otherwise the device.
    const fetching = received > 0,
      bytes = fetching ? received : loaded,
      left = fetching ? Math.max(0, size - kept - received) : total - loaded;
    this.past.push({ at, bytes });
    while (this.past.length > 2 && this.past[0].at < at - windowMs) this.past.shift();
    const first = this.past[0],
      seconds = (at - first.at) / 1000;
    this.state.rate = seconds > 0 ? Math.max(0, bytes - first.bytes) / seconds : 0;
    this.state.secondsLeft = this.state.rate > 0 && (fetching ? size : total) > 0 ? left / this.state.rate : Infinity;
    if (at - this.reported < reportMs && !(total > 0 && loaded === total) && !('tuning' in more)) return;
    this.reported = at;
    this.report({ ...this.state });
  }
}
