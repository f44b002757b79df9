// What is the same in Node and in browsers: all of the public API but the platform.
export { type AdapterDescription, Device, describe_adapter } from './engine/device.ts';
export type { MemoryReport } from './engine/memory.ts';
export { type Checkpoint, open_checkpoint } from './loaders/checkpoint.ts';
export { contact_sheet, picture_to_pixels, pixels_to_picture, psnr } from './loaders/image.ts';
export { memory_source } from './loaders/memory_source.ts';
export { url_source } from './loaders/url_source.ts';
export { type Composition, compose } from './loaders/compose.ts';
export { type ReplyOptions, TextModel, loadQwen2 } from './model/chat.ts';
export type { Config } from './model/config.ts';
export type { DrawingInput, DrawingSettings, DrawingStep } from './model/drawing.ts';
export {
  type DescribeOptions, type GenerateOptions, type GenerateStep, type LoadOptions, MMAR, type ModelMemory, type Piece, loadMMAR, read_config,
} from './model/mmar.ts';
export { plan_parts } from './model/parts.ts';
export { type MemoryPlan, plan_memory } from './model/plan.ts';
export { type TracePart, type TraceTensor, type TraceTensors, trace, trace_parts } from './model/trace.ts';
export type { LoadProgress } from './model/weights.ts';
export { type ErrorCode, MMARError } from './platform/error.ts';
export type { Picture, Platform, Source } from './platform/platform.ts';
