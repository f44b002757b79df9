/** The checkpoint that the options name, composed of its parts. */
import type { Command } from 'commander';
import type { Source } from '../base/platform.ts';
import { type Checkpoint, openCheckpoint } from '../loaders/checkpoint.ts';
import { compose } from '../loaders/compose.ts';
import { withSettings } from '../model/overrides.ts';
import { fileAt, type PlacedFile } from '../model/place.ts';
import { nodePlatform } from '../platform/node.ts';
import { usage } from './errors.ts';
import { carriedCheckpoint } from './places.ts';
import { stopSignal } from './stop.ts';
import { option, someText } from './values.ts';

export interface CheckpointOptions {
  model: string;
  llm?: string;
  vae?: string;
  patch?: string;
  set?: Record<string, string>;
}

export function withCheckpoint(command: Command): Command {
  return command
    .addOption(
      option('--model <place>', 'checkpoint: a folder or a URL', someText).default(
        carriedCheckpoint(),
        'checkpoints/emoji of this package',
      ),
    )
    .addOption(option('--llm <place>', "a Qwen2 checkpoint in place of the model's text model", someText))
    .addOption(
      option('--vae <file>', "an LDM or MAR KL-16 safetensors file in place of the model's image tokenizer", someText),
    )
    .addOption(option('--patch <file>', 'what mmar train --save patch wrote, laid over the checkpoint', someText))
    .option('--set <key=value...>', 'other values for config.json, such as llm.num_hidden_layers=2', addSetting);
}

/** Collects key=value pairs. */
export function addSetting(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (key === undefined) throw usage(`--set ${text} is no setting; give key=value`);
  return { ...before, [key]: value };
}

/** Opens it, or parts of it over `base`; `close` its source afterwards. Nothing is loaded. */
export async function openComposed(
  { model, llm, vae, patch, set }: CheckpointOptions,
  base?: Checkpoint,
): Promise<Checkpoint> {
  const opened: Source[] = [],
    open = (place: string) => opened[opened.push(nodePlatform.source(place)) - 1];
  try {
    const checkpoint = base ?? (await openCheckpoint(open(model), stopSignal));
    if (!llm && !vae && !patch && !set) return checkpoint;
    return await compose(
      checkpoint,
      {
        llm: llm ? await openCheckpoint(open(llm), stopSignal) : undefined,
        vae: vae ? fileOf(vae, open) : undefined,
        patch: patch ? fileOf(patch, open) : undefined,
        config: set && ((json) => withSettings(json, set)),
      },
      stopSignal,
    );
  } catch (error) {
    for (const source of opened) await source.close();
    throw error;
  }
}

function fileOf(place: string, open: (folder: string) => Source): PlacedFile {
  const placed = fileAt(place, open);
  if (placed) return placed;
  throw usage(`${place} names no file; give a path or a URL`);
}
