// mmar in a browser: the public API, the browser's platform, and the client of the worker that runs it beside the page.

export { type BlockOptions, blockSource, type Keep, type Traffic } from './platform/block_source.ts';
export { browserPlatform as platform, type DeviceOptions, openDevice } from './platform/browser.ts';
export { deleteKeptModel, type KeptModel, keptModels, opfsKeep } from './platform/opfs.ts';
export * from './public.ts';
export * from './web/client.ts';
