import type { Command } from 'commander';
import { MMARError } from '../../base/error.ts';
import { Device } from '../../engine/device.ts';
import type { Checkpoint } from '../../loaders/checkpoint.ts';
import type { Config } from '../../model/config.ts';
import { readConfig } from '../../model/mmar.ts';
import { withSettings } from '../../model/overrides.ts';
import { type MemoryPlan, planMemory } from '../../model/plan.ts';
import { declaredCheckpoint } from '../../model/random_weights.ts';
import type { PLoRA } from '../../model/system.ts';
import { planSystem } from '../../model/variants/index.ts';
import type { Activations } from '../../model/weights.ts';
import { availableMemory } from '../../platform/memory.ts';
import { closeGPU, nodeAdapter } from '../../platform/node_gpu.ts';
import { type CheckpointOptions, openComposed, withCheckpoint } from '../checkpoint.ts';
import { snakeKeys } from '../json.ts';
import { oneOf, option, ploraOption, someText } from '../options.ts';
import { megabytes, table } from '../progress.ts';
import { quietNativeWarnings } from '../quiet.ts';
import { stopSignal } from '../stop.ts';
import { carriedConfigs, readConfigFile } from './init.ts';

interface Part {
  tensors: number;
  parameters: number;
  bytes: number;
  types: string[];
}

interface Options extends CheckpointOptions {
  config?: string;
  plan?: boolean;
  adapter?: string;
  precision: Activations;
  plora?: PLoRA;
  json?: boolean;
}

const examples = `
Exits 1 where a tensor is missing or wrong. Nothing is loaded and no GPU is needed; with --plan the memory that drawing
and reading take is counted by a rehearsal, for the limits that WebGPU guarantees or those of --adapter.

Examples:
  mmar inspect                          the carried checkpoint
  mmar inspect ./my-checkpoint --json
  mmar inspect --config mmar-7b --plan  what a model of that config would have and take
  mmar inspect ./mmar-0.5b --plan --adapter lavapipe`;

export function addInspect(program: Command): void {
  withCheckpoint(
    program
      .command('inspect')
      .description("Show a checkpoint's parts, and what is missing, wrong or unexpected in it.")
      .argument('[dir]', 'a folder or a URL; the same as --model'),
  )
    .addOption(
      option(
        '--config <name>',
        `a config in place of a checkpoint: ${carriedConfigs().join(', ')}, or a JSON file`,
        someText,
      ),
    )
    .option('--plan', 'show the memory that it takes on a device')
    .addOption(option('--adapter <name>', 'whose limits the plan has to keep to', someText))
    .addOption(
      option('--precision <type>', 'activations of the plan: bf16 or f32', oneOf('bf16', 'f32')).default('bf16'),
    )
    .addOption(ploraOption())
    .option('--json', 'print one JSON object')
    .addHelpText('after', examples)
    .action(inspect);
}

async function inspect(dir: string | undefined, options: Options): Promise<void> {
  const { config: name, set, json } = options;
  const checkpoint = name
    ? declaredCheckpoint(withSettings(readConfigFile(name), set ?? {}), name)
    : await openComposed({ ...options, model: dir ?? options.model });
  const { source } = checkpoint;
  try {
    const config = await readConfig(checkpoint, stopSignal);
    const parts = sumUp(checkpoint),
      found = planSystem(checkpoint, config, 'bf16').weights.compare(checkpoint);
    const plan = options.plan ? await planFor(checkpoint, config, options) : undefined;
    if (json) console.log(JSON.stringify({ model: source.name, config, parts, ...found, plan: snakeKeys(plan) }));
    else
      console.log(
        [
          source.name,
          '',
          ...partLines(parts),
          '',
          ...Object.entries(found).map(([what, names]) => `${what}: ${listed(names)}`),
          ...(plan ? ['', ...planLines(plan)] : []),
        ].join('\n'),
      );
    const bad = found.missing.length + found.wrong.length;
    if (bad)
      throw new MMARError(
        'checkpoint',
        `${source.name}: ${found.missing.length} tensors are missing and ${found.wrong.length} wrong; check config.json, or convert the checkpoint again`,
      );
  } finally {
    await source.close();
  }
}

interface Planned extends MemoryPlan {
  /** Whose limits it keeps to; absent: those that WebGPU guarantees. */
  adapter?: string;
  /** Bytes that are free for a software adapter. */
  available?: number;
}

async function planFor(
  checkpoint: Checkpoint,
  config: Config,
  { precision, plora, adapter: choice }: Options,
): Promise<Planned> {
  if (!choice) return planMemory(checkpoint, config, { precision, plora });
  quietNativeWarnings();
  const { adapter, name } = await nodeAdapter(choice),
    device = await Device.open(adapter);
  try {
    return {
      ...(await planMemory(checkpoint, config, { precision, plora, device })),
      adapter: name,
      available: device.software ? availableMemory() : undefined,
    };
  } finally {
    device.destroy();
    closeGPU();
  }
}

function planLines({
  weights,
  drawing,
  both,
  drawingPeak,
  peak,
  split,
  precision,
  plora,
  weightType,
  adapter,
  available,
}: Planned): string[] {
  const row = (name: string, pick: (task: MemoryPlan['both']) => number) => [
    name,
    megabytes(pick(drawing)),
    megabytes(pick(both)),
  ];
  return [
    `memory on the device: weights ${weightType}, activations ${precision}, PLoRA ${plora}, ${adapter ?? 'the limits that WebGPU guarantees'}`,
    '',
    ...table([
      ['', 'to draw', 'to draw and read'],
      row('weights', () => weights),
      row('keys and values', ({ caches }) => caches),
      row('work buffers', ({ work }) => work),
      row('tokens, tables, parameters', ({ state }) => state),
      ['peak', megabytes(drawingPeak), megabytes(peak)],
    ]),
    ...(available === undefined ? [] : ['', `${megabytes(available)} are free on this machine`]),
    '',
    `split over buffers: ${listed(split.map(({ name, bytes, pieces }) => `${shortened(name)} (${megabytes(bytes)} in ${pieces})`))}`,
  ];
}

/** Stacked tensors have the names of all that they are made of. */
const shortened = (name: string): string => name.replace(/^([^+]+)\+.*\+/, '$1+…+');

/** The part that a tensor belongs to, as the checkpoint names it. */
function partOf(name: string): string {
  if (name.startsWith('llm.')) return /\.lora_[AB]\./.test(name) ? 'llm PLoRA' : 'llm';
  if (name === 'image_start' || name === 'image_end') return 'image_start, image_end';
  return name.split('.')[0];
}

function sumUp(checkpoint: Checkpoint): Record<string, Part> {
  const parts: Record<string, Part> = {};
  for (const [name, { entry }] of checkpoint.tensors) {
    parts[partOf(name)] ??= { tensors: 0, parameters: 0, bytes: 0, types: [] };
    const part = parts[partOf(name)];
    part.tensors++;
    part.parameters += entry.shape.reduce((a, b) => a * b, 1);
    part.bytes += entry.bytes;
    if (!part.types.includes(entry.dtype)) part.types.push(entry.dtype);
  }
  return parts;
}

function partLines(parts: Record<string, Part>): string[] {
  const rows = Object.entries(parts),
    total = (key: 'tensors' | 'parameters' | 'bytes') => rows.reduce((sum, [, part]) => sum + part[key], 0);
  const row = (name: string, tensors: number, parameters: number, bytes: number, types: string) => [
    name,
    String(tensors),
    parameters.toLocaleString('en'),
    megabytes(bytes),
    types,
  ];
  return table([
    ['part', 'tensors', 'parameters', 'size', 'types'],
    ...rows.map(([name, { tensors, parameters, bytes, types }]) =>
      row(name, tensors, parameters, bytes, types.join(' ')),
    ),
    row('all', total('tensors'), total('parameters'), total('bytes'), ''),
  ]);
}

/** The first names of a list, and how many more there are. */
function listed(names: string[], most = 10): string {
  if (!names.length) return 'none';
  return [
    ...names.slice(0, most),
    ...(names.length > most ? [`and ${names.length - most} more (--json lists all)`] : []),
  ]
    .map((name) => (names.length > 1 ? `\n  ${name}` : name))
    .join('');
}
