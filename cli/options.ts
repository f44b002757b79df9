/** The options that commands share, and checked values for those of their own. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import type { Activations } from '../model/weights.ts';
import { type CheckpointOptions, withCheckpoint } from './checkpoint.ts';
import { usage } from './errors.ts';

/** What `withCommon` adds. */
export interface CommonOptions extends CheckpointOptions {
  adapter?: string;
  precision: Activations;
  json?: boolean;
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
    .option('--json', 'print one JSON object');
}

/** An option whose text `parse` turns into its value, or refuses. */
export function option<T>(flags: string, description: string, parse: (name: string, text: string) => T): Option {
  const made = new Option(flags, description);
  return made.argParser((text) => parse(made.long ?? flags, text));
}

/** A whole number. */
export const count =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (name: string, text: string): number => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    const bound = most < Number.MAX_SAFE_INTEGER ? `to ${most}` : value > most ? 'to 2^53 - 1' : 'up';
    throw usage(`${name} is ${JSON.stringify(text)}; give a whole number from ${least} ${bound}`);
  };

/** A number. `over`: more than `least`, which is not allowed itself. */
export const real =
  (least: number, most = Infinity, over = false) =>
  (name: string, text: string): number => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (Number.isFinite(value) && value <= most && (over ? value > least : value >= least)) return value;
    const from = over ? `over ${least}` : `from ${least}`,
      to = most === Infinity ? (over ? '' : ' up') : over ? `, at most ${most}` : ` to ${most}`;
    throw usage(`${name} is ${JSON.stringify(text)}; give a number ${from}${to}`);
  };

export const oneOf =
  <const T extends string>(...choices: T[]) =>
  (name: string, text: string): T => {
    if (choices.includes(text as T)) return text as T;
    throw usage(`${name} is ${JSON.stringify(text)}; give ${choices.join(' or ')}`);
  };

export const someText = (name: string, text: string): string => {
  if (text) return text;
  throw usage(`${name} is empty; give a value`);
};

/** Where this package lies: the sources and their bundle are at different depths of it. */
export function packageRoot(): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    if (fs.existsSync(path.join(folder, 'package.json')) || folder === path.dirname(folder)) return folder;
  }
}

/** The default model, wherever the user stands. */
export const carriedCheckpoint = (): string => path.join(packageRoot(), 'checkpoints/emoji');
