import type { Checkpoint } from '../loaders/checkpoint.ts';
import type { Config } from './config.ts';
import type { MakeDrawing } from './drawing.ts';
import type { ImageTokenizer } from './image_tokenizer.ts';
import type { Qwen2 } from './qwen2.ts';
import type { Sight } from './sequence.ts';
import type { SettingsTable } from './settings.ts';
import type { TraceRun } from './trace.ts';
import type { Activations, Weights } from './weights.ts';

/** One of the paper's systems: its parts, which declare their weights when they are made, and what it does with them. */
export interface System extends Sight {
  readonly config: Config;
  readonly weights: Weights;
  readonly activations: Activations;
  readonly image_tokenizer: ImageTokenizer;
  readonly llm: Qwen2;
  /** The settings of a drawing that it reads. */
  readonly settings: SettingsTable;
  readonly makeDrawing: MakeDrawing;
  /** The parts of the graph that can be run alone (spec: trace.md). */
  readonly traces: Readonly<Record<string, TraceRun>>;
}

/** A model run in f32 keeps wider weights as they are, and one that learns keeps all wide: f32 must not lose anything. */
export function weightType(checkpoint: Checkpoint, precision: Activations, learns = false): Activations {
  const wide = [...checkpoint.tensors.values()].some(({ entry }) => entry.dtype === 'F32' || entry.dtype === 'F16');
  return precision === 'f32' && (wide || learns) ? 'f32' : 'bf16';
}
