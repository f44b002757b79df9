// What is the same in Node and in browsers: all of the public API but the platform and what it brings.

export { type ErrorCode, MMARError } from './base/error.ts';
export type { Picture, Platform, Source } from './base/platform.ts';
export { type AdapterDescription, describeAdapter } from './engine/adapter.ts';
export { Device } from './engine/device.ts';
export type { MemoryReport } from './engine/memory.ts';
export { type Checkpoint, openCheckpoint } from './loaders/checkpoint.ts';
export { type Composition, compose } from './loaders/compose.ts';
export { contactSheet, pictureToPixels, pixelsToPicture, psnr } from './loaders/image.ts';
export { memorySource } from './loaders/memory_source.ts';
export type { Message } from './loaders/tokenizer.ts';
export { urlSource } from './loaders/url_source.ts';
export type * from './model/api.ts';
export type { Config, MMARConfig, TransfusionConfig, VQConfig } from './model/config.ts';
export type { DrawingInput, DrawingStep } from './model/drawing.ts';
export type { LoadProgress } from './model/load_weights.ts';
export { type LoadOptions, MMAR, readConfig } from './model/mmar.ts';
export type { ImageInput } from './model/pictures.ts';
export { type MemoryPlan, planMemory } from './model/plan.ts';
export { type AnswerSettings, answerSettings, type DrawingSettings, drawingSettings } from './model/settings.ts';
export { loadQwen2, TextModel } from './model/text_model.ts';
export { type TraceTensor, type TraceTensors, traceSettings } from './model/trace.ts';
export { planSystem } from './model/variants/index.ts';
