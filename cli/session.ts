import { Device } from '../engine/device.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import type { Answer, Piece } from '../model/api.ts';
import type { Config } from '../model/config.ts';
import type { LoadProgress } from '../model/load_weights.ts';
import { loadMMAR, type MMAR, readConfig } from '../model/mmar.ts';
import { availableMemory } from '../platform/memory.ts';
import { nodePlatform } from '../platform/node.ts';
import { closeGPU, nodeAdapter } from '../platform/node_gpu.ts';
import { openComposed } from './checkpoint.ts';
import { say } from './errors.ts';
import type { CommonOptions } from './options.ts';
import { megabytes, Progress } from './progress.ts';
import { quietNativeWarnings } from './quiet.ts';
import { cleanups, stopSignal } from './stop.ts';
import { recallTuning, tuneOnce } from './tuning.ts';

/** A loaded model and what it runs on. */
export interface Session {
  model: MMAR;
  checkpoint: Checkpoint;
  /** The adapter's name. */
  adapter: string;
  progress: Progress;
  signal: AbortSignal;
}

/**
 * Loads the model that the options name, hands it to `use`, and lets go of all of it whatever happens.
 * @param check looks at the config, the checkpoint and the device before anything large is loaded
 * @param other opens another checkpoint than the options name
 */
export function withModel<T>(
  options: CommonOptions,
  use: (session: Session) => Promise<T>,
  check?: (config: Config, opened: Opened) => void | Promise<void>,
  other?: () => Promise<Checkpoint>,
): Promise<T> {
  const load = async (opened: Opened): Promise<T> => {
    await check?.(await readConfig(opened.checkpoint, opened.signal), opened);
    if (options.tune !== false && !options.learns) await tuneModel(opened);
    const model = await loadMMAR(opened.checkpoint, {
      precision: options.precision,
      learns: options.learns,
      plora: options.plora,
      platform: nodePlatform,
      ...opened.loading(),
    });
    opened.loaded();
    return use({ ...opened, model });
  };
  return withDevice(options, load, other);
}

async function tuneModel({ device, checkpoint, progress, signal }: Opened): Promise<void> {
  const config = await checkpoint.json('config.json', signal);
  const onTuned = (_: unknown, done: number, total: number) => {
    if (!progress.shown) progress.start('tuning', total, String);
    progress.update(done);
  };
  await tuneOnce(device, config, { onTuned, signal });
  progress.stop();
}

/** Writes an answer as it comes, unless it is not to be shown; gives the whole. */
export async function printed(
  stream: AsyncGenerator<Piece, Answer>,
  shown: boolean,
  first: () => void = () => {},
): Promise<Answer> {
  for (;;) {
    const { done, value } = await stream.next();
    if (done) return value;
    first();
    if (shown) process.stdout.write(value.text);
  }
}

/** A checkpoint and the device for it, with nothing loaded. */
export interface Opened extends Omit<Session, 'model'> {
  device: Device;
  /** The device, what it can hold, and the bar: options for a loader. */
  loading(): { device: Device; available?: number; signal: AbortSignal; onProgress: (progress: LoadProgress) => void };
  /** Takes the bar away and says what the model runs on. */
  loaded(): void;
}

/** Opens the checkpoint that the options name, or `other`, and a device; closes both whatever happens. */
export async function withDevice<T>(
  options: CommonOptions,
  use: (opened: Opened) => Promise<T>,
  other?: () => Promise<Checkpoint>,
): Promise<T> {
  quietNativeWarnings();
  const signal = stopSignal,
    progress = new Progress(options.json);
  const clean = () => progress.stop();
  cleanups.add(clean);
  let device: Device | undefined, checkpoint: Checkpoint | undefined;
  try {
    checkpoint = await (other ? other() : openComposed(options));
    const { adapter, name } = await nodeAdapter(options.adapter);
    device = await Device.open(adapter);
    if (options.tune !== false) await recallTuning(device);
    const on = device,
      available = on.software ? availableMemory() : undefined;
    const onProgress = ({ loaded, total }: LoadProgress) => {
      if (!progress.shown) progress.start('loading', total, megabytes);
      progress.update(loaded);
    };
    return await use({
      checkpoint,
      device,
      adapter: name,
      progress,
      signal,
      loading: () => ({ device: on, available, signal, onProgress }),
      loaded() {
        progress.stop();
        if (on.software && !options.json) say(`${name} is a software adapter: the CPU does the GPU's work`);
      },
    });
  } finally {
    progress.stop();
    device?.destroy();
    closeGPU();
    await checkpoint?.source.close();
    cleanups.delete(clean);
  }
}

/**
 * Opens the adapter of that choice and hands a device on it to `use`; closes both whatever happens.
 * @param options.quiet keeps drivers' own words off stderr
 * @param options.experimental with features that WebGPU does not have yet
 */
export async function withAdapter<T>(
  choice: string | undefined,
  use: (device: Device, name: string) => Promise<T>,
  { quiet = true, experimental = false } = {},
): Promise<T> {
  if (quiet) quietNativeWarnings();
  const { adapter, name } = await nodeAdapter(choice, { experimental }),
    device = await Device.open(adapter);
  try {
    return await use(device, name);
  } finally {
    device.destroy();
    closeGPU();
  }
}
