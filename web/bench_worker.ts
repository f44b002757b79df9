// The benchmark's worker: a device of its own, so that a shader that never ends can be left behind with it.

import { MMARError } from '../base/error.ts';
import type { BenchOptions } from '../bench/options.ts';
import { tryShader } from '../bench/own.ts';
import { runBench } from '../bench/run.ts';
import { Stopwatch } from '../bench/stopwatch.ts';
import { findTarget, type SourceForm, sourceOf, type Target, targetNames } from '../bench/target.ts';
import type { Device } from '../engine/device.ts';
import { version } from '../package.json';
import { openDevice } from '../platform/browser.ts';
import type { Answer, Call } from './protocol.ts';

let opened: Promise<Device> | undefined;
const stops = new Map<number, AbortController>();

/** The device, opened anew where the last one was lost. */
function device(): Promise<Device> {
  opened ??= openDevice().then((made) => {
    void made.gpu.lost.then(() => (opened = undefined));
    return made;
  });
  opened.catch(() => (opened = undefined));
  return opened;
}

interface CallContext {
  signal: AbortSignal;
  event: (value: unknown) => void;
}

const methods = {
  /** Runs the benchmark; events are `{ progress }` and `{ report }`, the report so far. */
  async bench({ signal, event }: CallContext, options: BenchOptions) {
    const on = await device(),
      { vendor, architecture, device: card, driver } = on.adapter;
    const about = {
      name: driver || card || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter',
      runtime: navigator.userAgent,
      version,
    };
    return runBench(on, about, {
      ...options,
      signal,
      onProgress: (progress) => event({ progress }),
      onReport: (report) => event({ report }),
    });
  },

  targets: async (_: CallContext, config: string) => targetNames(await device(), config),

  async source(_: CallContext, target: Target, form: SourceForm) {
    return sourceOf((await findTarget(await device(), target)).candidate, form);
  },

  /** Tries a shader; events are `{ running }`, before and after its first run. */
  async tryShader({ signal, event }: CallContext, wgsl: string, target: Target) {
    const watch = await Stopwatch.open(await device());
    try {
      return await tryShader(watch, wgsl, target, { signal, onRun: (running) => event({ running }) });
    } finally {
      watch.destroy();
    }
  },
};

const say = (answer: Answer) => (globalThis as unknown as Worker).postMessage(answer);

async function answer(id: number, method: string, args: unknown[]): Promise<void> {
  const stop = new AbortController();
  stops.set(id, stop);
  try {
    const run = methods[method as keyof typeof methods] as (
      context: CallContext,
      ...args: unknown[]
    ) => Promise<unknown>;
    say({ id, value: await run({ signal: stop.signal, event: (event) => say({ id, event }) }, ...args) });
  } catch (error) {
    const { code, message } = error instanceof MMARError ? error : { code: undefined, message: String(error) };
    say({ id, error: { code, message } });
  } finally {
    stops.delete(id);
  }
}

globalThis.addEventListener('message', ({ data }: MessageEvent<Call>) => {
  if ('abort' in data) stops.get(data.abort)?.abort();
  else void answer(data.id, data.method, data.args);
});
