// mmar in a browser: the public API, the browser's platform, and the client of the worker that runs it beside the page.
export * from './public.ts';
export { type BlockOptions, type Keep, type Traffic, block_source } from './platform/block_source.ts';
export { type DeviceOptions, browser_platform as platform, open_device } from './platform/browser.ts';
export { type KeptModel, delete_kept_model, kept_models, opfs_keep } from './platform/opfs.ts';
export * from './web/client.ts';
