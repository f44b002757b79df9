// mmar in Node: the public API, Node's platform, and its adapters.
import type { Source } from './base/platform.ts';
import { Device } from './engine/device.ts';
import type { Checkpoint } from './loaders/checkpoint.ts';
import { type LoadOptions, loadMMAR as loadOn, type MMAR } from './model/mmar.ts';
import { openPlace } from './model/place.ts';
import { availableMemory } from './platform/memory.ts';
import { nodePlatform } from './platform/node.ts';
import { closeGPU, nodeAdapter } from './platform/node_gpu.ts';
import { teachStream as teacher } from './training/teach.ts';

export { nodePlatform as platform } from './platform/node.ts';
export { closeGPU, type NodeAdapter, nodeAdapter, nodeAdapters } from './platform/node_gpu.ts';
export * from './public.ts';

export interface DeviceOptions {
  /** `hardware`, `swiftshader`, `lavapipe`, or a part of an adapter's name; the best there is unless given. */
  adapter?: string;
  /** Lowers the size at which tensors are split over buffers, for tests. */
  maxBinding?: number;
}

/** Opens a device, as in a browser. An `adapter` error names those that there are. To let Node exit: destroy it, then `closeGPU`. */
export async function openDevice({ adapter, maxBinding }: DeviceOptions = {}): Promise<Device> {
  return Device.open((await nodeAdapter(adapter)).adapter, { maxBinding });
}

/** How a model is loaded; without `device` it opens one of its own, on the adapter that `adapter` chooses. */
export type NodeLoadOptions = Partial<Omit<LoadOptions, 'closed' | 'platform' | 'teacher'>> & DeviceOptions;

/** Models that have devices of their own: when the last is closed, the GPU is let go and Node can end. */
let ownDevices = 0;

/**
 * Loads a model from a folder, a URL, a model of the Hub (`owner/name`), a source or an open checkpoint. One that opened
 * its own device closes it when it is closed, and Node then ends by itself. Errors: see `MMARError` and its codes.
 */
export async function loadMMAR(
  from: string | URL | Source | Checkpoint,
  { device: given, adapter, maxBinding, ...options }: NodeLoadOptions = {},
): Promise<MMAR> {
  const place = typeof from === 'string' || from instanceof URL ? String(from) : undefined;
  const source =
    place === undefined ? (from as Source | Checkpoint) : await openPlace(place, nodePlatform.source, options.signal);
  ownDevices += given ? 0 : 1;
  let device = given;
  const closed = () => {
    if (given) return;
    device?.destroy();
    ownDevices--;
    if (!ownDevices) closeGPU();
  };
  try {
    device ??= await openDevice({ adapter, maxBinding });
    const available = device.software ? availableMemory() : undefined;
    return await loadOn(source, { available, ...options, device, platform: nodePlatform, teacher, closed });
  } catch (error) {
    closed();
    if (place !== undefined) await (source as Source).close();
    throw error;
  }
}
