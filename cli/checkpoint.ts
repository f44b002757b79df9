/** The checkpoint that the options name, composed of its parts. */
import path from 'node:path';
import type { Command } from 'commander';
import { type Checkpoint, open_checkpoint } from '../loaders/checkpoint.ts';
import { compose } from '../loaders/compose.ts';
import { with_settings } from '../model/settings.ts';
import { node_platform } from '../platform/node.ts';
import type { Source } from '../platform/platform.ts';
import { usage } from './errors.ts';
import { carried_checkpoint, option, some_text } from './options.ts';
import { stop_signal } from './stop.ts';

export interface CheckpointOptions {
  model: string;
  llm?: string;
  vae?: string;
  set?: Record<string, string>;
}

export function with_checkpoint(command: Command): Command {
  return command
    .addOption(option('--model <place>', 'checkpoint: a folder or a URL', some_text).default(carried_checkpoint(), 'checkpoints/emoji of this package'))
    .addOption(option('--llm <place>', "a Qwen2 checkpoint in place of the model's text model", some_text))
    .addOption(option('--vae <file>', "an LDM or MAR KL-16 safetensors file in place of the model's image tokenizer", some_text))
    .option('--set <key=value...>', 'other values for config.json, such as llm.num_hidden_layers=2', add_setting);
}

/** Collects key=value pairs. */
export function add_setting(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (key === undefined) throw usage(`--set ${text} is no setting; give key=value`);
  return { ...before, [key]: value };
}

/** Opens it; `close` its source afterwards. Nothing is loaded. */
export async function open_composed({ model, llm, vae, set }: CheckpointOptions): Promise<Checkpoint> {
  const opened: Source[] = [], open = (place: string) => opened[opened.push(node_platform.source(place)) - 1];
  try {
    const checkpoint = await open_checkpoint(open(model), stop_signal);
    if (!llm && !vae && !set) return checkpoint;
    return await compose(checkpoint, {
      llm: llm ? await open_checkpoint(open(llm), stop_signal) : undefined,
      vae: vae ? file_of(vae, open) : undefined,
      config: set && ((json) => with_settings(json, set)),
    }, stop_signal);
  } catch (error) {
    for (const source of opened) await source.close();
    throw error;
  }
}

function file_of(place: string, open: (folder: string) => Source): { source: Source; file: string } {
  const url = /^(\w+:\/\/.*\/)([^/?]+)(\?.*)?$/.exec(place);
  if (url) return { source: open(url[1] + (url[3] ?? '')), file: decodeURIComponent(url[2]) };
  return { source: open(path.dirname(place)), file: path.basename(place) };
}
