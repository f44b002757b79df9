// What is the same in Node and in browsers: all of the public API but the platform.

export { type ErrorCode, MMARError } from './base/error.ts';
export type { Picture, Platform, Source } from './base/platform.ts';
export { type AdapterDescription, describeAdapter } from './engine/adapter.ts';
export { Device } from './engine/device.ts';
export type { MemoryReport } from './engine/memory.ts';
export { type Checkpoint, openCheckpoint } from './loaders/checkpoint.ts';
export { type Composition, compose } from './loaders/compose.ts';
export { contactSheet, pictureToPixels, pixelsToPicture, psnr } from './loaders/image.ts';
export { memorySource } from './loaders/memory_source.ts';
export { urlSource } from './loaders/url_source.ts';
export { loadQwen2, type ReplyOptions, TextModel } from './model/chat.ts';
export type { Config } from './model/config.ts';
export type { DrawingInput, DrawingSettings, DrawingStep } from './model/drawing.ts';
export {
  type DescribeOptions,
  type GenerateOptions,
  type GenerateStep,
  type LoadOptions,
  loadMMAR,
  MMAR,
  type ModelMemory,
  type Piece,
  readConfig,
} from './model/mmar.ts';
export { planParts } from './model/parts.ts';
export { type MemoryPlan, planMemory } from './model/plan.ts';
export { type TracePart, type TraceTensor, type TraceTensors, trace, traceParts } from './model/trace.ts';
export type { LoadProgress } from './model/weights.ts';
