import { identityOf, type TuneOptions, tuneFirstLoad } from '../bench/tune.ts';
import type { Device } from '../engine/device.ts';
import { dependencies } from '../package.json';
import { nodeTuning } from '../platform/node_tuning.ts';

/** What is measured on this machine holds for this adapter, driver and version of Dawn. */
export const machineOf = (device: Device): string => identityOf(device, `webgpu ${dependencies.webgpu}`);

/** Lets a device choose by what was measured on this machine. */
export async function recallTuning(device: Device): Promise<void> {
  device.tuning.fromText(await nodeTuning.load(machineOf(device)));
}

/** Measures a model's kernels for a few seconds when a GPU loads it for the first time. */
export const tuneOnce = (device: Device, config: unknown, options: Omit<TuneOptions, 'store'>): Promise<void> =>
  tuneFirstLoad(device, machineOf(device), config, { store: nodeTuning, ...options });
