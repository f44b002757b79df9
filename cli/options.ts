/** The options that commands share. */
import type { Command } from 'commander';
import type { Activations } from '../model/weights.ts';
import { type CheckpointOptions, withCheckpoint } from './checkpoint.ts';
import { oneOf, option, someText } from './values.ts';

export { count, oneOf, option, real, someText } from './values.ts';

/** What `withCommon` adds. */
export interface CommonOptions extends CheckpointOptions {
  adapter?: string;
  precision: Activations;
  /** Set by commands that train the model. */
  learns?: boolean;
  json?: boolean;
  /** Use what `mmar tune` measured; so unless false. */
  tune?: boolean;
}

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
    .option('--no-tune', 'do without what mmar tune measured')
    .option('--json', 'print one JSON object');
}
