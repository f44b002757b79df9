/** The options that commands share. */
import type { Command } from 'commander';
import type { PLoRA } from '../model/system.ts';
import type { Activations } from '../model/weights.ts';
import { type CheckpointOptions, withCheckpoint } from './checkpoint.ts';
import { oneOf, option, someText } from './values.ts';

export { count, oneOf, option, real, someText } from './values.ts';

/** What `withCommon` adds. */
export interface CommonOptions extends CheckpointOptions {
  adapter?: string;
  precision: Activations;
  plora?: PLoRA;
  /** Set by commands that train the model. */
  learns?: boolean;
  json?: boolean;
  /** Use what `mmar tune` measured; so unless false. */
  tune?: boolean;
}

export const ploraOption = () =>
  option(
    '--plora <how>',
    'for image tokens: merged into the weights, or separate from them, which costs time and saves loading (default: as the model does best)',
    oneOf('merged', 'separate'),
  );

/** Options of a command that leaves the LLM alone: what speeds it up does not pay. */
export const noLLM = <T extends CommonOptions>(options: T): T => ({ ...options, plora: options.plora ?? 'separate' });

export function withCommon(command: Command): Command {
  return withCheckpoint(command)
    .addOption(
      option(
        '--adapter <name>',
        'hardware, swiftshader, lavapipe, or a part of a name that mmar adapters lists',
        someText,
      ),
    )
    .addOption(option('--precision <type>', 'activations: bf16 or f32', oneOf('bf16', 'f32')).default('bf16'))
    .addOption(ploraOption())
    .option('--no-tune', 'do without what mmar tune measured')
    .option('--json', 'print one JSON object');
}
