import { Device } from '../engine/device.ts';
import { open_checkpoint } from '../loaders/checkpoint.ts';
import type { Config } from '../model/config.ts';
import { type MMAR, loadMMAR, read_config } from '../model/mmar.ts';
import { node_platform } from '../platform/node.ts';
import { close_gpu, node_adapter } from '../platform/node_gpu.ts';
import { say } from './errors.ts';
import type { CommonOptions } from './options.ts';
import { Progress, megabytes } from './progress.ts';
import { quiet_native_warnings } from './quiet.ts';
import { cleanups, stop_signal } from './stop.ts';

/** A loaded model and what it runs on. */
export interface Session {
  model: MMAR;
  /** The adapter's name. */
  adapter: string;
  progress: Progress;
  signal: AbortSignal;
}

/**
 * Loads the model that the options name, hands it to `use`, and lets go of all of it whatever happens.
 * @param check looks at the config before anything large is loaded
 */
export async function with_model<T>(options: CommonOptions, use: (session: Session) => Promise<T>, check?: (config: Config) => void): Promise<T> {
  quiet_native_warnings();
  const signal = stop_signal, progress = new Progress(options.json);
  const source = node_platform.source(options.model);
  let device: Device | undefined;
  cleanups.add(() => progress.stop());
  try {
    const checkpoint = await open_checkpoint(source, signal);
    check?.(await read_config(checkpoint, signal));
    const { adapter, name } = await node_adapter(options.adapter);
    device = await Device.open(adapter);
    const model = await loadMMAR(checkpoint, { device, precision: options.precision, signal, onProgress: ({ loaded, total }) => {
      if (!progress.shown) progress.start('loading', total, megabytes);
      progress.update(loaded);
    } });
    progress.stop();
    if (device.software && !options.json) say(`${name} is a software adapter: the CPU does the GPU's work`);
    return await use({ model, adapter: name, progress, signal });
  } finally {
    progress.stop();
    if (!signal.aborted) await settled(device);
    device?.destroy();
    close_gpu();
    await source.close();
  }
}

/** Waits, but not for long, until the device does nothing: a driver that computes while its process ends may crash. */
async function settled(device: Device | undefined): Promise<void> {
  await Promise.race([device?.gpu.queue.onSubmittedWorkDone().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 2000))]);
}
