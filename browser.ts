// mmar in a browser: the public API, the browser's platform, and the client of the worker that runs it beside the page.
import type { Source } from './base/platform.ts';
import type { Checkpoint } from './loaders/checkpoint.ts';
import { memorySource } from './loaders/memory_source.ts';
import { type LoadOptions, loadMMAR as loadOn, type MMAR } from './model/mmar.ts';
import { openPlace } from './model/place.ts';
import { browserPlatform, type DeviceOptions, openDevice } from './platform/browser.ts';
import { teachStream as teacher } from './training/teach.ts';

export { type BlockOptions, blockSource, type Keep, type Traffic } from './platform/block_source.ts';
export { browserPlatform as platform, type DeviceOptions, openDevice } from './platform/browser.ts';
export { deleteKeptModel, type KeptModel, keptModels, opfsKeep } from './platform/opfs.ts';
export * from './public.ts';
export * from './web/client.ts';

/** How a model is loaded; without `device` it opens one of its own. */
export type BrowserLoadOptions = Partial<Omit<LoadOptions, 'closed' | 'platform' | 'teacher'>> & DeviceOptions;

/**
 * Loads a model in this thread, from an address, a model of the Hub (`owner/name`), files by their names in its folder, a
 * source or an open checkpoint. One that opened its own device closes it when it is closed. `connectWorker` loads it in a
 * worker, so that the page stays free.
 */
export async function loadMMAR(
  from: string | URL | Map<string, Blob> | Source | Checkpoint,
  { device: given, adapter, maxBinding, ...options }: BrowserLoadOptions = {},
): Promise<MMAR> {
  const source = await sourceOf(from, options.signal);
  const device = given ?? (await openDevice({ adapter, maxBinding }));
  const closed = () => {
    if (!given) device.destroy();
  };
  try {
    return await loadOn(source, { ...options, device, platform: browserPlatform, teacher, closed });
  } catch (error) {
    closed();
    throw error;
  }
}

async function sourceOf(
  from: string | URL | Map<string, Blob> | Source | Checkpoint,
  signal?: AbortSignal,
): Promise<Source | Checkpoint> {
  if (typeof from === 'string' || from instanceof URL) return openPlace(String(from), browserPlatform.source, signal);
  return from instanceof Map ? memorySource('the given files', from) : from;
}
