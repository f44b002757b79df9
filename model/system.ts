import { MMARError } from '../base/error.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import type { Config } from './config.ts';
import type { MakeDrawing } from './drawing.ts';
import type { ImageTokenizer } from './image_tokenizer.ts';
import type { Qwen2 } from './qwen2.ts';
import type { Sight } from './sequence.ts';
import type { SettingsTable } from './settings.ts';
import type { TraceRun } from './trace.ts';
import type { Activations, Weights } from './weights.ts';

/** How image tokens meet PLoRA: through one matrix W + scale B A, made once (`Weights.merge`), or through W, A and B. */
export type PLoRA = 'merged' | 'separate';

/** One of the paper's systems: its parts, which declare their weights when they are made, and what it does with them. */
export interface System extends Sight {
  readonly config: Config;
  readonly weights: Weights;
  readonly activations: Activations;
  readonly image_tokenizer: ImageTokenizer;
  readonly llm: Qwen2;
  /** How it meets PLoRA in bf16 unless asked. */
  readonly plora: PLoRA;
  /** The settings of a drawing that it reads. */
  readonly settings: SettingsTable;
  readonly makeDrawing: MakeDrawing;
  /** The parts of the graph that can be run alone (spec: trace.md). */
  readonly traces: Readonly<Record<string, TraceRun>>;
}

/** The part of its weights that merging may add to a model: a sixteenth at 0.5B, more than a quarter at 7B. */
const mostAdded = 0.2;

/**
 * How a model meets PLoRA, as asked or as its system does best. Apart where merging takes much memory, since a GPU does not
 * tell how much it has; where activations are f32, which the merged matrix's rounding would spoil; and where the model learns.
 * Throws `usage` where `asked` cannot be.
 */
export function ploraOf(system: System, asked: PLoRA | undefined, learns = false): PLoRA {
  const apart = learns || system.activations === 'f32';
  if (apart && asked === 'merged')
    throw new MMARError(
      'usage',
      `plora is merged, but ${learns ? 'the model is to learn' : 'precision is f32'}; give --plora separate`,
    );
  if (apart) return 'separate';
  return asked ?? (system.weights.mergingAdds > mostAdded ? 'separate' : system.plora);
}

/** A model run in f32 keeps wider weights as they are, and one that learns keeps all wide: f32 must not lose anything. */
export function weightType(checkpoint: Checkpoint, precision: Activations, learns = false): Activations {
  const wide = [...checkpoint.tensors.values()].some(({ entry }) => entry.dtype === 'F32' || entry.dtype === 'F16');
  return precision === 'f32' && (wide || learns) ? 'f32' : 'bf16';
}
