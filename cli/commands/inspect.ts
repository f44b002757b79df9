import type { Command } from 'commander';
import { type Checkpoint, open_checkpoint } from '../../loaders/checkpoint.ts';
import { read_config } from '../../model/mmar.ts';
import { plan_parts } from '../../model/parts.ts';
import { MMARError } from '../../platform/error.ts';
import { node_platform } from '../../platform/node.ts';
import { carried_checkpoint, option, some_text } from '../options.ts';
import { megabytes, table } from '../progress.ts';
import { stop_signal } from '../stop.ts';

interface Part {
  tensors: number;
  parameters: number;
  bytes: number;
  types: string[];
}

const examples = `
Exits 1 where a tensor is missing or wrong. Nothing is loaded and no GPU is needed.

Examples:
  mmar inspect                          the carried checkpoint
  mmar inspect ./my-checkpoint --json`;

export function add_inspect(program: Command): void {
  program.command('inspect').description("Show a checkpoint's parts, and what is missing, wrong or unexpected in it.")
    .argument('[dir]', 'a folder or a URL; the same as --model')
    .addOption(option('--model <place>', 'checkpoint: a folder or a URL', some_text).default(carried_checkpoint(), 'checkpoints/emoji of this package'))
    .option('--json', 'print one JSON object')
    .addHelpText('after', examples)
    .action(inspect);
}

async function inspect(dir: string | undefined, { model, json }: { model: string; json?: boolean }): Promise<void> {
  const source = node_platform.source(dir ?? model);
  try {
    const checkpoint = await open_checkpoint(source, stop_signal), config = await read_config(checkpoint, stop_signal);
    const parts = sum_up(checkpoint), found = plan_parts(checkpoint, config, 'bf16').weights.compare(checkpoint);
    if (json) console.log(JSON.stringify({ model: source.name, config, parts, ...found }));
    else console.log([source.name, '', ...part_lines(parts), '', ...Object.entries(found).map(([what, names]) => `${what}: ${listed(names)}`)].join('\n'));
    const bad = found.missing.length + found.wrong.length;
    if (bad) throw new MMARError('checkpoint', `${source.name}: ${found.missing.length} tensors are missing and ${found.wrong.length} wrong; check config.json, or convert the checkpoint again`);
  } finally {
    await source.close();
  }
}

/** The part that a tensor belongs to, as the checkpoint names it. */
function part_of(name: string): string {
  if (name.startsWith('llm.')) return /\.lora_[AB]\./.test(name) ? 'llm PLoRA' : 'llm';
  if (name === 'image_start' || name === 'image_end') return 'image_start, image_end';
  return name.split('.')[0];
}

function sum_up(checkpoint: Checkpoint): Record<string, Part> {
  const parts: Record<string, Part> = {};
  for (const [name, { entry }] of checkpoint.tensors) {
    const part = (parts[part_of(name)] ??= { tensors: 0, parameters: 0, bytes: 0, types: [] });
    part.tensors++;
    part.parameters += entry.shape.reduce((a, b) => a * b, 1);
    part.bytes += entry.bytes;
    if (!part.types.includes(entry.dtype)) part.types.push(entry.dtype);
  }
  return parts;
}

function part_lines(parts: Record<string, Part>): string[] {
  const rows = Object.entries(parts), total = (key: 'tensors' | 'parameters' | 'bytes') => rows.reduce((sum, [, part]) => sum + part[key], 0);
  const row = (name: string, tensors: number, parameters: number, bytes: number, types: string) => [name, String(tensors), parameters.toLocaleString('en'), megabytes(bytes), types];
  return table([
    ['part', 'tensors', 'parameters', 'size', 'types'],
    ...rows.map(([name, { tensors, parameters, bytes, types }]) => row(name, tensors, parameters, bytes, types.join(' '))),
    row('all', total('tensors'), total('parameters'), total('bytes'), ''),
  ]);
}

/** The first names of a list, and how many more there are. */
function listed(names: string[], most = 10): string {
  if (!names.length) return 'none';
  return [...names.slice(0, most), ...(names.length > most ? [`and ${names.length - most} more (--json lists all)`] : [])].map((name) => (names.length > 1 ? `\n  ${name}` : name)).join('');
}
